//! Consumers that can never work end with the reason.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use diesel::r2d2::{ConnectionManager, Pool};
use diesel::{PgConnection, SqliteConnection};
use persisting_message_bus::backend::{MessageConsumerState, MessageSource};
use persisting_message_bus::operate::{ConsumerExit, ConsumerKey};
use persisting_message_bus::{Error, Message, MessageConsumer, RetryPolicy, Runner};
use persisting_message_bus_tests::databases::{Database, Postgres, Server};
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};
use persisting_message_bus_tests::waiting::wait_until;

use super::databases::Tables;
use super::{assert_says, ignore, on_databases, orders};

on_databases! {
    a_consumer_without_tables_ends_with_that_error,
    a_consumer_that_has_worked_ends_without_an_error,
}

fn quick_retry() -> RetryPolicy {
    RetryPolicy::default().initial_delay(Duration::from_millis(1))
}

/// Runs a consumer until it has connected twice, and stops it.
fn stopped_after_two_connections<B, E>(
    connect: impl Fn() -> Result<B, E> + Send + Sync + 'static,
) -> ConsumerExit
where
    B: MessageSource + MessageConsumerState + Send + 'static,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    let connect = move || {
        counted.fetch_add(1, SeqCst);
        connect()
    };
    let consumer = MessageConsumer::<Orders>::external("all", ignore);
    let running = Runner::new(connect)
        .retry(quick_retry())
        .consumer(consumer)
        .start();
    wait_until("the first attempt has failed", || {
        connections.load(SeqCst) > 1
    });
    let mut exits = running.stop_within(Duration::from_secs(30)).unwrap();
    exits.remove(0)
}

fn error_of(exit: ConsumerExit) -> Error {
    exit.error.expect("an error")
}

fn a_consumer_without_tables_ends_with_that_error<D: Tables + Send + 'static>() {
    let (database, _bus) = D::without_tables();
    let connect = move || Ok::<_, std::io::Error>(database.connect());
    let error = error_of(stopped_after_two_connections(connect));
    assert_eq!(error.consumer(), Some("all"));
    assert_says(
        &error,
        &["does not exist in the ", "sql::migrate(&mut connection)"],
    );
}

fn a_consumer_that_has_worked_ends_without_an_error<D: Tables + Send + 'static>() {
    let database = D::create();
    let mut bus = database.connect();
    orders()
        .dispatch(&mut bus, &OrderPlaced::number(1))
        .unwrap();
    let (sender, handled) = std::sync::mpsc::channel();
    let attempts = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&attempts);
    let connect = move || {
        counted.fetch_add(1, SeqCst);
        Ok::<_, std::io::Error>(database.connect())
    };
    let handler = move |_: &Message<Orders>| Ok(sender.send(())?);
    let running = Runner::new(connect)
        .retry(quick_retry())
        .idle_interval(Duration::from_millis(5))
        .consumer(MessageConsumer::<Orders>::external("all", handler))
        .start();
    handled.recv().unwrap();
    // The second message is handled after the first poll has succeeded.
    wait_until("the first cursor is stored", || {
        let key = ConsumerKey::on::<Orders>("all");
        let row = bus.stored_consumer(key).unwrap();
        row.is_some_and(|row| row.cursor.is_some() && row.work.is_none())
    });
    orders()
        .dispatch(&mut bus, &OrderPlaced::number(2))
        .unwrap();
    handled.recv().unwrap();
    let before = attempts.load(SeqCst);
    D::run(
        &mut bus,
        "ALTER TABLE message_consumer_state RENAME TO gone",
    )
    .unwrap();
    wait_until("a poll has failed", || attempts.load(SeqCst) > before);
    let exits = running.stop_within(Duration::from_secs(30)).unwrap();
    assert!(exits[0].error.is_none(), "{exits:?}");
}

#[test]
fn a_consumer_that_never_connects_ends_with_that_error() {
    let connect = || Err::<PgConnection, _>("no route to host");
    assert_says(
        &error_of(stopped_after_two_connections(connect)),
        &["no route to host"],
    );
}

/// Consumes as a predefined role, which has no rights on tables. `grant` gives it some.
fn error_of_a_poor_role(grant: &'static str) -> Error {
    let database = Postgres::create();
    let connect = move || {
        let mut bus = database.connect();
        let become_it = format!(
            "DO $$ BEGIN EXECUTE replace('{grant}', 'HERE', current_schema()); END $$;
             SET ROLE pg_monitor"
        );
        Postgres::run(&mut bus, &become_it).map(|()| bus)
    };
    error_of(stopped_after_two_connections(connect))
}

#[test]
fn a_role_without_rights_is_the_error_of_its_consumer() {
    let error = error_of_a_poor_role("SELECT 1");
    assert_says(
        &error,
        &["role \"pg_monitor\", which has no USAGE on schema bus_"],
    );
    let error = error_of_a_poor_role("GRANT USAGE ON SCHEMA HERE TO pg_monitor");
    assert_says(&error, &["permission denied for table"]);
    assert!(!error.to_string().contains("does not exist"), "{error}");
}

#[test]
fn a_pool_that_is_too_small_is_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bus.db");
    let pool = |size| {
        let manager = ConnectionManager::<SqliteConnection>::new(path.to_str().unwrap());
        Pool::builder().max_size(size).build(manager).unwrap()
    };
    let external = |name: &str| MessageConsumer::<Orders>::external(name, ignore);
    let transactional = || {
        let handler = |_: &mut diesel::r2d2::PooledConnection<_>, _: &Message<Orders>| Ok(());
        MessageConsumer::<Orders>::transactional("revenue", handler)
    };
    let running = Runner::on_pool(pool(6))
        .consumer(external("mailer"))
        .consumer(external("printer"))
        .consumer(transactional())
        .start();
    let exits = running.stop_within(Duration::from_secs(30)).unwrap();
    assert_eq!(exits.len(), 3);
    for exit in exits {
        let parts = [
            "need 7 connections",
            "the pool has at most 6",
            "max_size to 7 plus",
        ];
        assert_says(&error_of(exit), &parts);
    }
    persisting_message_bus::sql::migrate(&mut pool(1).get().unwrap()).unwrap();
    let running = Runner::on_pool(pool(4))
        .consumer(external("mailer"))
        .consumer(transactional())
        .start();
    let exits = running.stop_within(Duration::from_secs(30)).unwrap();
    assert!(exits.iter().all(|exit| exit.error.is_none()), "{exits:?}");
}

#[test]
fn a_pool_without_a_free_connection_may_be_too_small() {
    let database = Postgres::create();
    let manager = ConnectionManager::<PgConnection>::new(database.url());
    let pool = Pool::builder()
        .max_size(1)
        .connection_timeout(Duration::from_millis(20))
        .build(manager)
        .unwrap();
    let _only = pool.get().unwrap();
    let error = error_of(stopped_after_two_connections(move || pool.get()));
    assert_says(
        &error,
        &["timed out waiting for connection", "of this runner need 3"],
    );
}
