//! A lease outlives its connection. Final effects are not repeated when their cursor could not be
//! stored.

use std::cell::{Cell, RefCell};
use std::io;
use std::sync::mpsc::channel;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use persisting_message_bus::{Message, MessageConsumer, Runner};
use persisting_message_bus_tests::databases::{Database, Mariadb, Postgres, Sqlite};
use persisting_message_bus_tests::topics::Orders;
use persisting_message_bus_tests::waiting::wait_until;

use super::sql::Sql;
use super::{at_once, cursor, order, place};

/// Statements about a session that another session runs.
trait Kill: Sql {
    const SESSION: &'static str;
    fn kill(session: i64) -> String;
    /// Returns a query for the number of such sessions.
    fn count(session: i64) -> String;
}

impl Kill for Postgres {
    const SESSION: &'static str = "SELECT pg_backend_pid()::bigint";
    fn kill(session: i64) -> String {
        format!("SELECT pg_terminate_backend({session})")
    }
    fn count(session: i64) -> String {
        format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {session}")
    }
}

impl Kill for Mariadb {
    const SESSION: &'static str = "SELECT CAST(connection_id() AS SIGNED)";
    fn kill(session: i64) -> String {
        format!("KILL {session}")
    }
    fn count(session: i64) -> String {
        format!("SELECT count(*) FROM information_schema.processlist WHERE id = {session}")
    }
}

fn handled_messages_are_not_repeated<D: Kill>() {
    let (database, mut bus) = D::prepare();
    place(&mut bus, 1..10);
    let session = D::numbers(&mut bus, D::SESSION)[0];
    let (seen, other) = (RefCell::new(Vec::new()), RefCell::new(database.connect()));
    let handler = |message: &Message<Orders>| {
        seen.borrow_mut().push(order(message));
        if order(message) == 4 {
            other.borrow_mut().batch_execute(&D::kill(session))?;
        }
        Ok(())
    };
    let mut consumer = MessageConsumer::<Orders>::external("all", handler).page_size(5);
    let error = consumer.handle_new_messages(&mut bus).unwrap_err();
    assert!(error.is_disconnected(), "{error:?}");
    let mut bus = database.connect();
    assert_eq!(cursor(&mut bus, "all"), 0, "the cursor could not be stored");
    consumer.handle_new_messages(&mut bus).unwrap();
    drop(consumer);
    assert_eq!(*seen.borrow(), (1..10).collect::<Vec<_>>());
    assert_eq!(cursor(&mut bus, "all"), 9);
}

#[test]
fn handled_messages_are_not_repeated_on_postgres() {
    handled_messages_are_not_repeated::<Postgres>();
}

#[test]
fn handled_messages_are_not_repeated_on_mariadb() {
    handled_messages_are_not_repeated::<Mariadb>();
}

/// On SQLite, another writer keeps the cursor from being stored.
#[test]
fn handled_messages_are_not_repeated_on_sqlite() {
    let (database, mut bus) = Sqlite::prepare();
    place(&mut bus, 1..10);
    bus.batch_execute("PRAGMA busy_timeout = 10").unwrap();
    let (seen, other) = (RefCell::new(Vec::new()), RefCell::new(database.connect()));
    let handler = |message: &Message<Orders>| {
        seen.borrow_mut().push(order(message));
        if order(message) == 4 {
            other.borrow_mut().batch_execute("BEGIN IMMEDIATE")?;
        }
        Ok(())
    };
    let mut consumer = MessageConsumer::<Orders>::external("all", handler).page_size(5);
    let error = consumer.handle_new_messages(&mut bus).unwrap_err();
    assert!(error.is_retryable(), "{error:?}");
    other.borrow_mut().batch_execute("ROLLBACK").unwrap();
    consumer.handle_new_messages(&mut bus).unwrap();
    drop(consumer);
    assert_eq!(*seen.borrow(), (1..10).collect::<Vec<_>>());
}

/// The new lease holder has handled the messages, too.
#[test]
fn a_lost_lease_stores_nothing() {
    let (database, mut bus) = Postgres::prepare();
    place(&mut bus, 1..4);
    let session = Postgres::numbers(&mut bus, Postgres::SESSION)[0];
    let other = RefCell::new(database.connect());
    let handler = |_: &Message<Orders>| {
        let kill = Postgres::kill(session);
        let _of_itself = other.borrow_mut().batch_execute(&kill);
        Ok(())
    };
    let mut consumer = MessageConsumer::<Orders>::external("all", handler)
        .lease_duration(Duration::ZERO)
        .retry(at_once(1, Default::default()));
    consumer.handle_page(&mut bus).unwrap_err();
    let mut bus = database.connect();
    let mut next = MessageConsumer::<Orders>::external("all", |_: &Message<Orders>| Ok(()));
    next.handle_new_messages(&mut bus).unwrap();
    let error = consumer.handle_page(&mut bus).unwrap_err();
    assert!(error.is_lease_lost(), "{error:?}");
    assert_eq!(cursor(&mut bus, "all"), 3);
}

thread_local! {
    /// The session of this thread's consumer.
    static SESSION: Cell<i64> = const { Cell::new(0) };
}

/// The server, or a proxy before it, ends sessions that are idle for as long as the handler runs.
/// `limit` sets a limit of more than 1 s, so that the consumer stores its progress after each
/// message.
fn a_slow_handler_is_called_once<D>(limit: &'static str)
where
    D: Kill + Send + 'static,
    D::Connection: Send,
{
    let (database, mut bus) = D::prepare();
    place(&mut bus, 1..3);
    let mut watcher = database.connect();
    let (sender, handled) = channel();
    let handler = move |message: &Message<Orders>| {
        let count = D::count(SESSION.get());
        wait_until("the server ends the idle session", || {
            D::numbers(&mut watcher, &count) == [0]
        });
        Ok(sender.send(order(message))?)
    };
    let running = Runner::new(move || {
        let mut bus = database.connect();
        bus.batch_execute(limit).map_err(io::Error::other)?;
        SESSION.set(D::numbers(&mut bus, D::SESSION)[0]);
        Ok::<_, io::Error>(bus)
    })
    .retry(at_once(8, Default::default()))
    .consumer(
        MessageConsumer::<Orders>::external("slow", handler).lease_duration(Duration::from_secs(6)),
    )
    .start();
    wait_until("the progress is stored", || cursor(&mut bus, "slow") == 2);
    running.stop_within(Duration::from_secs(20)).unwrap();
    // After the end of the consumer, no call is under way.
    assert_eq!(handled.try_iter().collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn a_handler_slower_than_the_idle_limit_is_called_once_on_postgres() {
    a_slow_handler_is_called_once::<Postgres>("SET idle_session_timeout = '1200ms'");
}

#[test]
fn a_handler_slower_than_the_idle_limit_is_called_once_on_mariadb() {
    a_slow_handler_is_called_once::<Mariadb>("SET wait_timeout = 2");
}
