//! The file of a connection is replaced or deleted while the connection has it open.

use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::r2d2::{ConnectionManager, Pool};
use persisting_message_bus::backend::MessageSource;
use persisting_message_bus::handler::{External, HandlerError};
use persisting_message_bus::sql::migrate;
use persisting_message_bus::sql::sqlite::Settings;
use persisting_message_bus::{Error, Message, MessageBus, MessageConsumer, Runner};
use persisting_message_bus_tests::consume;
use persisting_message_bus_tests::databases::{Database, Sqlite, connect_sqlite};
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};
use persisting_message_bus_tests::waiting::wait_until;

use super::{ignore, orders};

pub fn place(bus: &mut SqliteConnection, numbers: RangeInclusive<u64>) {
    let placed = numbers.map(OrderPlaced::number);
    orders().dispatch_batch(bus, placed).unwrap();
}

/// Closes a database, so that all of it is in its file.
fn close(mut bus: SqliteConnection) {
    bus.batch_execute("PRAGMA wal_checkpoint(TRUNCATE)")
        .unwrap();
}

fn delete_beside(path: &str) {
    for suffix in ["-wal", "-shm"] {
        // Only a database in WAL mode has these.
        let _none = fs::remove_file(format!("{path}{suffix}"));
    }
}

/// Moves a new database with other messages to the path.
pub fn replace(path: &str, numbers: RangeInclusive<u64>) {
    let folder = Path::new(path).parent().unwrap();
    let new = folder.join("new.db");
    let new = new.to_str().unwrap();
    let mut bus = connect_sqlite(new);
    migrate(&mut bus).unwrap();
    place(&mut bus, numbers);
    close(bus);
    delete_beside(path);
    fs::rename(new, path).unwrap();
    delete_beside(new);
}

fn delete(path: &str) {
    fs::remove_file(path).unwrap();
    delete_beside(path);
}

pub fn poll(bus: &mut SqliteConnection) -> Result<usize, Error> {
    MessageConsumer::<Orders>::external("all", ignore).handle_new_messages(bus)
}

#[track_caller]
pub fn assert_disconnected(error: &Error, path: &str, verb: &str) {
    let text = format!("{error:#}");
    assert!(error.is_disconnected(), "{text}");
    assert!(!error.is_broken_cursor(), "{text}");
    for part in [path, verb] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

/// The journal modes.
const MODES: [&str; 2] = ["WAL", "DELETE"];

/// Connects in a journal mode.
fn connect_in(mode: &str, path: &str) -> SqliteConnection {
    let mut bus = SqliteConnection::establish(path).unwrap();
    bus.batch_execute(&format!("PRAGMA journal_mode = {mode}"))
        .unwrap();
    bus
}

/// Calls a function for each journal mode, with the path of a file, and with a connection on which
/// the messages of the file were handled.
fn in_each_mode(run: impl Fn(&str, &str, SqliteConnection)) {
    for mode in MODES {
        let database = Sqlite::create();
        let path = database.path();
        let mut bus = connect_in(mode, &path);
        place(&mut bus, 1..=10);
        assert_eq!(poll(&mut bus).unwrap(), 10);
        run(mode, &path, bus);
    }
}

#[test]
fn a_replaced_file_is_noticed_on_an_open_connection() {
    in_each_mode(|mode, path, mut bus| {
        replace(path, 101..=115);
        for _ in 0..3 {
            assert_disconnected(&poll(&mut bus).unwrap_err(), path, "replaced");
        }
        let mut bus = connect_in(mode, path);
        assert_eq!(consume(&mut bus), (101..=115).collect::<Vec<_>>());
    });
}

#[test]
fn a_deleted_file_is_noticed_on_an_open_connection() {
    in_each_mode(|mode, path, mut bus| {
        delete(path);
        assert_disconnected(&poll(&mut bus).unwrap_err(), path, "deleted");
        replace(path, 101..=105);
        assert_disconnected(&poll(&mut bus).unwrap_err(), path, "replaced");
        assert_eq!(poll(&mut connect_in(mode, path)).unwrap(), 5);
    });
}

/// A pool can open a connection long before a consumer takes it.
#[test]
fn a_file_that_was_replaced_before_the_first_poll_of_a_connection_is_noticed() {
    let database = Sqlite::create();
    let path = database.path();
    place(&mut database.connect(), 1..=10);
    let mut bus = database.connect();
    bus.batch_execute("SELECT count(*) FROM public_messages")
        .unwrap();
    replace(&path, 101..=115);
    assert_disconnected(&poll(&mut bus).unwrap_err(), &path, "replaced");
}

/// The pool hands out a connection that was not used since the file was replaced.
#[test]
fn a_pooled_consumer_continues_with_the_new_file() {
    let database = Sqlite::create();
    let path = database.path();
    place(&mut database.connect(), 1..=10);
    let pool = Pool::builder()
        .max_size(4)
        .connection_customizer(Box::new(Settings::default()))
        .build(ConnectionManager::<SqliteConnection>::new(&path))
        .unwrap();
    let (sender, seen) = channel();
    let running = Runner::new(move || pool.get())
        .idle_interval(Duration::from_millis(20))
        .consumer(teller(sender))
        .start();
    assert_receives(&seen, 1..=10);
    assert_continues_with_a_new_file(&database, &seen);
    running.stop_within(Duration::from_secs(10)).unwrap();
}

type Telling<F> = MessageConsumer<Orders, External<F>>;

/// Returns a consumer that sends the orders that it handles.
fn teller(
    sender: Sender<u64>,
) -> Telling<impl FnMut(&Message<Orders>) -> Result<(), HandlerError> + Send> {
    MessageConsumer::external("all", move |message: &Message<Orders>| {
        Ok(sender.send(message.payload().order())?)
    })
}

/// Receives these orders, each within 10 s.
#[track_caller]
fn assert_receives(seen: &Receiver<u64>, expected: RangeInclusive<u64>) {
    let expected: Vec<_> = expected.collect();
    let within = Duration::from_secs(10);
    let next = |_: &u64| seen.recv_timeout(within).expect("an order within 10 s");
    assert_eq!(expected.iter().map(next).collect::<Vec<_>>(), expected);
}

/// Replaces the file of a consumer that is running.
#[track_caller]
fn assert_continues_with_a_new_file(database: &Sqlite, seen: &Receiver<u64>) {
    replace(&database.path(), 101..=105);
    assert_receives(seen, 101..=105);
    place(&mut database.connect(), 106..=107);
    assert_receives(seen, 106..=107);
}

#[test]
fn a_runner_continues_with_the_new_file() {
    for deleted_first in [false, true] {
        let database = Sqlite::create();
        let path = database.path();
        place(&mut database.connect(), 1..=10);
        let (sender, seen) = channel();
        let connect_to = path.clone();
        let connections = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        let connect = move || -> Result<SqliteConnection, ConnectionError> {
            counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            SqliteConnection::establish(&connect_to)
        };
        let running = Runner::new(connect)
            .idle_interval(Duration::from_millis(20))
            .consumer(teller(sender))
            .start();
        assert_receives(&seen, 1..=10);
        if deleted_first {
            let before = connections.load(std::sync::atomic::Ordering::SeqCst);
            delete(&path);
            wait_until("the consumer connects again", || {
                connections.load(std::sync::atomic::Ordering::SeqCst) > before
            });
        }
        assert_continues_with_a_new_file(&database, &seen);
        let ended = running.stop_within(Duration::from_secs(10)).unwrap();
        assert!(ended[0].error.is_none(), "{ended:?}");
    }
}

/// The identity of the file must not be lost with a transaction.
#[test]
fn a_file_that_was_first_read_in_a_transaction_is_recognised() {
    for commits in [false, true] {
        let database = Sqlite::create();
        let mut bus = database.connect();
        place(&mut bus, 1..=3);
        let read = bus.transaction(|bus| {
            let head = bus.current_head("orders").unwrap();
            if commits {
                Ok(head)
            } else {
                Err(diesel::result::Error::RollbackTransaction)
            }
        });
        assert_eq!(read.is_ok(), commits);
        assert_eq!(poll(&mut bus).unwrap(), 3);
        assert_eq!(poll(&mut bus).unwrap(), 0);
        replace(&database.path(), 1..=1);
        assert_disconnected(&poll(&mut bus).unwrap_err(), &database.path(), "replaced");
    }
}

/// The bytes of a backup are written to the same file, whose identity does not change.
#[test]
fn a_backup_that_was_copied_over_the_file_is_noticed() {
    for mode in MODES {
        let (database, state) = (Sqlite::create(), Sqlite::create());
        let (path, backup) = (database.path(), format!("{}.backup", database.path()));
        let mut publisher = connect_in(mode, &path);
        place(&mut publisher, 1..=5);
        publisher
            .batch_execute(&format!("VACUUM INTO '{backup}'"))
            .unwrap();
        // The backup must be in the journal mode of the connections that live on.
        drop(connect_in(mode, &backup));
        place(&mut publisher, 6..=10);
        let mut bus = MessageBus::new(connect_in(mode, &path), state.connect());
        let mut seen = Vec::new();
        let mut consumer =
            MessageConsumer::<Orders>::external("all", |message: &Message<Orders>| {
                seen.push(message.payload().order());
                Ok(())
            });
        assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 10);
        close(publisher);
        // `fs::copy` truncates and writes the file, as `cp` does.
        fs::copy(&backup, &path).unwrap();
        let mut publisher = connect_in(mode, &path);
        place(&mut publisher, 101..=110);
        let new = MessageBus::new(connect_in(mode, &path), state.connect());
        for mut bus in [bus, new] {
            let error = consumer.handle_new_messages(&mut bus).unwrap_err();
            assert!(error.is_broken_cursor(), "{mode}: {error:#}");
        }
        drop(consumer);
        assert_eq!(seen, (1..=10).collect::<Vec<_>>());
    }
}
