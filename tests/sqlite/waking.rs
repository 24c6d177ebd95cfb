//! An idle consumer polls when the file has changed.

use std::convert::Infallible;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use diesel::connection::{Instrumentation, InstrumentationEvent};
use diesel::prelude::*;
use persisting_message_bus::backend::MessageSource;
use persisting_message_bus::handler::PageHandler;
use persisting_message_bus::memory::InMemoryMessageBus;
use persisting_message_bus::operate::RunHandle;
use persisting_message_bus::sql::TableSchema;
use persisting_message_bus::{EventSet, Message, MessageBus, MessageConsumer, Runner};
use persisting_message_bus_tests::databases::{Database, Sqlite, connect_sqlite};
use persisting_message_bus_tests::statements::Log;
use persisting_message_bus_tests::topics::{Closed, OrderPlaced, OrderShipped, Orders};
use persisting_message_bus_tests::waiting::wait_for;

use super::orders;

const HOUR: Duration = Duration::from_secs(3_600);
const LONG: Duration = Duration::from_secs(60);
const CHANGES: &str = "PRAGMA data_version";

/// Starts a consumer whose statements are logged.
fn start<S, H>(
    database: &Sqlite,
    idle_interval: Duration,
    consumer: MessageConsumer<S, H>,
) -> (RunHandle, Log)
where
    S: EventSet + 'static,
    H: PageHandler<S, SqliteConnection> + Send + 'static,
{
    let path = database.path();
    let log = Log::default();
    let watcher = log.clone();
    let connect = move || {
        let mut connection = connect_sqlite(&path);
        watcher.watch(&mut connection);
        Ok::<_, Infallible>(connection)
    };
    let running = Runner::new(connect)
        .idle_interval(idle_interval)
        .consumer(consumer)
        .start();
    (running, log)
}

fn teller() -> (
    MessageConsumer<Orders, impl PageHandler<Orders, SqliteConnection> + Send + 'static>,
    Receiver<u64>,
) {
    let (sender, seen) = channel();
    let consumer = MessageConsumer::external("all", move |message: &Message<Orders>| {
        Ok(sender.send(message.payload().order())?)
    });
    (consumer, seen)
}

fn wait_until(log: &Log, awaited: &str, holds: impl Fn(&[String]) -> bool) {
    wait_for(awaited, || {
        let statements = log.statements();
        holds(&statements).then_some(()).ok_or(statements)
    });
}

/// Returns whether the last two statements read the change token and were followed by no poll.
fn rests(statements: &[String]) -> bool {
    statements.ends_with(&[CHANGES, CHANGES].map(str::to_owned))
}

/// Returns the number of polls.
fn polls(statements: &[String]) -> usize {
    let begins_poll = |pair: &&[String]| pair[0] == CHANGES && pair[1] != CHANGES;
    statements.windows(2).filter(begins_poll).count()
}

#[test]
fn the_commit_of_another_connection_changes_the_token() {
    let database = Sqlite::create();
    let (mut reader, mut other) = (database.connect(), database.connect());
    let tables = TableSchema::default();
    let mut changes = || {
        let by_itself = reader.change_token().unwrap();
        assert_eq!(tables.bind(&mut reader).change_token().unwrap(), by_itself);
        by_itself.expect("a number")
    };
    let before = changes();
    assert_eq!(changes(), before);
    for order in 0..3 {
        let before = changes();
        orders()
            .dispatch(&mut other, &OrderPlaced::number(order))
            .unwrap();
        assert_ne!(changes(), before);
    }
}

#[test]
fn the_token_of_a_joined_bus_changes_with_its_messages() {
    let database = Sqlite::create();
    let mut bus = MessageBus::new(database.connect(), InMemoryMessageBus::default());
    let before = bus.change_token().unwrap();
    assert!(before.is_some());
    orders()
        .dispatch(&mut database.connect(), &OrderPlaced::number(1))
        .unwrap();
    assert_ne!(bus.change_token().unwrap(), before);
}

#[test]
fn an_empty_poll_costs_one_statement() {
    let database = Sqlite::create();
    let (consumer, _seen) = teller();
    let (running, log) = start(&database, Duration::from_millis(30), consumer);
    wait_until(&log, "a hundred statements", |log| log.len() >= 100);
    drop(running);
    let statements = log.statements();
    let asked = statements.split(|statement| statement == CHANGES);
    // The first and the last part may be incomplete, and the first poll marks the connection.
    let after_each: Vec<_> = asked.map(<[String]>::len).collect();
    let whole = &after_each[2..after_each.len() - 1];
    assert!(whole.iter().all(|poll| [0, 3].contains(poll)), "{whole:?}");
    let polls = whole.iter().filter(|poll| **poll > 0).count();
    assert!((2..=whole.len() / 4).contains(&polls), "{whole:?}");
}

#[test]
fn a_commit_of_another_connection_is_noticed_at_the_next_poll() {
    let database = Sqlite::create();
    let mut publisher = database.connect();
    let (consumer, seen) = teller();
    let (running, log) = start(&database, Duration::from_millis(30), consumer);
    for order in 0..10 {
        wait_until(&log, "it rests", rests);
        orders()
            .dispatch(&mut publisher, &OrderPlaced::number(order))
            .unwrap();
        let committed = log.statements().len();
        assert_eq!(seen.recv_timeout(LONG), Ok(order));
        let after = &log.statements()[committed..];
        let asked = after.iter().take_while(|statement| *statement == CHANGES);
        assert!(asked.count() <= 1, "{after:?}");
    }
    drop(running);
}

#[test]
fn a_commit_is_noticed_when_no_poll_is_due() {
    let database = Sqlite::create();
    let (consumer, seen) = teller();
    let (running, log) = start(&database, HOUR, consumer);
    wait_until(&log, "it rests", rests);
    orders()
        .dispatch(&mut database.connect(), &OrderPlaced::number(1))
        .unwrap();
    assert_eq!(seen.recv_timeout(LONG), Ok(1));
    drop(running);
}

/// An instrumentation that publishes before the first statement that reads the cursor, after the
/// head was read.
struct BeforeTheCursor(Option<SqliteConnection>);

impl Instrumentation for BeforeTheCursor {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        if let InstrumentationEvent::StartQuery { query, .. } = event
            && query.to_string().contains("message_consumer_state")
            && let Some(mut publisher) = self.0.take()
        {
            let placed = OrderPlaced::number(1);
            orders().dispatch(&mut publisher, &placed).unwrap();
        }
    }
}

#[test]
fn a_commit_in_the_middle_of_a_poll_is_noticed() {
    let database = Sqlite::create();
    let path = database.path();
    let connect = move || {
        let mut connection = connect_sqlite(&path);
        let publisher = connect_sqlite(&path);
        connection.set_instrumentation(BeforeTheCursor(Some(publisher)));
        Ok::<_, Infallible>(connection)
    };
    let (consumer, seen) = teller();
    let running = Runner::new(connect)
        .idle_interval(HOUR)
        .consumer(consumer)
        .start();
    assert_eq!(seen.recv_timeout(LONG), Ok(1));
    drop(running);
}

#[test]
fn a_wake_up_makes_the_consumer_poll() {
    let database = Sqlite::create();
    let (consumer, _seen) = teller();
    let (running, log) = start(&database, HOUR, consumer);
    for _ in 0..3 {
        wait_until(&log, "it rests", rests);
        let before = polls(&log.statements());
        running.waker().wake();
        wait_until(&log, "a poll", |log| polls(log) > before);
    }
    drop(running);
}

#[test]
fn messages_a_handler_dispatches_on_its_own_topic_are_not_missed() {
    let database = Sqlite::create();
    let mut publisher = database.connect();
    orders()
        .dispatch(&mut publisher, &OrderPlaced::number(0))
        .unwrap();
    let (sender, seen) = channel();
    let consumer = MessageConsumer::<Orders>::transactional(
        "chain",
        move |connection: &mut SqliteConnection, message: &Message<Orders>| {
            let order = message.payload().order();
            if order % 10 < 5 {
                orders().dispatch(connection, &OrderPlaced::number(order + 1))?;
            }
            Ok(sender.send(order)?)
        },
    );
    let (running, log) = start(&database, HOUR, consumer);
    let next = || seen.recv_timeout(LONG).unwrap();
    assert_eq!([0; 6].map(|_| next()), [0, 1, 2, 3, 4, 5]);
    wait_until(&log, "it rests", rests);
    orders()
        .dispatch(&mut publisher, &OrderPlaced::number(10))
        .unwrap();
    assert_eq!([0; 6].map(|_| next()), [10, 11, 12, 13, 14, 15]);
    drop(running);
}

/// The page has no message for the handler, so only the cursor moves.
#[test]
fn messages_a_hook_dispatches_on_its_own_topic_are_not_missed() {
    let database = Sqlite::create();
    orders()
        .dispatch(&mut database.connect(), &OrderPlaced::number(0))
        .unwrap();
    let (sender, seen) = channel();
    let consumer = MessageConsumer::<Closed>::transactional(
        "closed",
        move |_: &mut SqliteConnection, message: &Message<Closed>| {
            let Closed::Shipped(OrderShipped { order }) = message.payload() else {
                return Err("not shipped".into());
            };
            Ok(sender.send(*order)?)
        },
    )
    .before_replay(|connection: &mut SqliteConnection| {
        orders().dispatch(connection, &OrderShipped { order: 7 })?;
        Ok(())
    });
    let (running, _log) = start(&database, HOUR, consumer);
    assert_eq!(seen.recv_timeout(LONG), Ok(7));
    drop(running);
}
