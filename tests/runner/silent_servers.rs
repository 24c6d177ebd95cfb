//! Servers that accept connections and do not answer, or stop to answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use diesel::{Connection, ConnectionResult, MysqlConnection, PgConnection};
use persisting_message_bus::{Message, MessageConsumer, Runner};
use persisting_message_bus_tests::databases::{Database, Postgres, Server};
use persisting_message_bus_tests::silent_server::{PausableProxy, SilentServer};
use persisting_message_bus_tests::topics::Orders;
use persisting_message_bus_tests::waiting::wait_until;

use super::gate::Gate;
use super::{cursor, place, quick_retry};

fn ignoring<B>()
-> MessageConsumer<Orders, impl persisting_message_bus::handler::PageHandler<Orders, B> + Send>
where
    B: persisting_message_bus::backend::MessageSource
        + persisting_message_bus::backend::MessageConsumerState,
{
    MessageConsumer::external("all", |_: &Message<Orders>| Ok(()))
}

#[test]
fn a_consumer_stops_at_once_while_its_server_is_silent() {
    let silent = SilentServer::start();
    let (postgres, mysql) = (silent.postgres_url(), silent.mysql_url());
    let first = Runner::new(move || PgConnection::establish(&postgres))
        .consumer(ignoring())
        .start();
    let second = Runner::new(move || MysqlConnection::establish(&mysql))
        .consumer(ignoring())
        .start();
    wait_until("both have connected", || silent.accepted() >= 2);
    let begun = Instant::now();
    for running in [first, second] {
        let ended = running.stop_within(Duration::from_secs(20)).unwrap();
        assert!(ended[0].error.is_none(), "{ended:?}");
    }
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_consumer_gives_a_silent_server_up() {
    let database = Postgres::create();
    place(&mut database.connect(), 1..2);
    let silent = SilentServer::start();
    let connect = silent.before(database.url(), 2);
    let running = Runner::new(connect)
        .connect_timeout(Duration::from_millis(100))
        .retry(quick_retry())
        .consumer(ignoring())
        .start();
    let mut bus = database.connect();
    wait_until("the message is handled", || cursor(&mut bus, "all") == 1);
    assert_eq!(silent.accepted(), 2);
    running.stop_within(Duration::from_secs(10)).unwrap();
}

#[test]
fn a_stop_is_bounded_when_a_server_stops_to_answer() {
    let database = Postgres::create();
    place(&mut database.connect(), 1..2);
    let (url, proxy) = PausableProxy::before(&database.url());
    let running = Runner::new(move || PgConnection::establish(&url))
        .idle_interval(Duration::from_millis(1))
        .consumer(ignoring())
        .start();
    let mut bus = database.connect();
    wait_until("the message is handled", || cursor(&mut bus, "all") == 1);
    proxy.pause();
    wait_until("a statement is held back", || proxy.held_back() > 0);
    let begun = Instant::now();
    let stuck = running.stop_within(Duration::from_millis(200)).unwrap_err();
    assert_eq!(stuck.consumers, ["all"]);
    assert!(stuck.to_string().contains("does not answer"), "{stuck}");
    assert!(begun.elapsed() < Duration::from_secs(10));
}

/// The consumer has the first connection. All others, which renew its lease, hang for a while.
#[test]
fn a_heartbeat_whose_connections_hang_does_not_delay_the_stop() {
    let database = Postgres::create();
    place(&mut database.connect(), 1..2);
    let silent = Arc::new(SilentServer::start());
    let (nowhere, url) = (silent.postgres_url(), database.url());
    let attempts = AtomicUsize::new(0);
    let connect = move || -> ConnectionResult<PgConnection> {
        let is_first = attempts.fetch_add(1, Ordering::SeqCst) == 0;
        PgConnection::establish(if is_first { &url } else { &nowhere })
    };
    let gate = Gate::default();
    let passed = gate.clone();
    let handler = move |_: &Message<Orders>| {
        passed.pass();
        Ok(())
    };
    let consumer = MessageConsumer::<Orders>::external("all", handler);
    let running = Runner::new(connect)
        .retry(quick_retry())
        .consumer(consumer.lease_duration(Duration::from_millis(300)))
        .start();
    gate.wait_for_arrivals(1);
    wait_until("the heartbeat has connected", || silent.accepted() >= 2);
    gate.open();
    let mut bus = database.connect();
    wait_until("the message is handled", || cursor(&mut bus, "all") == 1);
    let ended = running.stop_within(Duration::from_secs(20)).unwrap();
    assert!(ended[0].error.is_none(), "{ended:?}");
}
