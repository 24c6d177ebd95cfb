//! Connections of a feed that are of no use, or do not answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::r2d2::{ConnectionManager, Pool, R2D2Connection};
use diesel::{Connection, ConnectionResult, MysqlConnection, PgConnection};
use persisting_message_bus::MessageDispatcher;
use persisting_message_bus_http::{Feed, Limits};
use persisting_message_bus_tests::databases::{Database, Mariadb, Postgres, Server};
use persisting_message_bus_tests::silent_server::{PausableProxy, SilentServer};
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};
use persisting_message_bus_tests::waiting::wait_for;

use super::requests::get;
use super::serving::{Serving, TOPICS};

fn ship(bus: &mut impl persisting_message_bus::backend::MessageRepository) {
    MessageDispatcher::<Orders>::new()
        .dispatch(bus, &OrderPlaced::number(7))
        .unwrap();
}

/// Repeats a request until it is served.
fn wait_until_served(address: SocketAddr) {
    wait_for("the request is served", || {
        let response = get(address, "/orders", &[]);
        match response.status {
            200 => {
                assert_eq!(response.orders(), [7]);
                Ok(())
            }
            status => Err(status),
        }
    });
}

/// Serves a pool whose connections are all spoiled.
fn assert_recovers<C>(url: String, spoil: &str)
where
    C: R2D2Connection + SimpleConnection + 'static,
    diesel::r2d2::PooledConnection<ConnectionManager<C>>:
        persisting_message_bus::backend::MessageSource,
{
    let manager = ConnectionManager::<C>::new(url);
    let pool = Pool::builder().max_size(2).build(manager).unwrap();
    for connection in &mut [pool.get().unwrap(), pool.get().unwrap()] {
        let _failed = connection.batch_execute(spoil);
    }
    let serving = Serving::start(Feed::new(move || pool.get(), TOPICS).unwrap().public());
    let begun = Instant::now();
    wait_until_served(serving.address);
    assert!(begun.elapsed() < Duration::from_secs(3), "{spoil}");
}

#[test]
fn a_feed_of_postgres_gets_rid_of_spoiled_connections() {
    for spoil in [
        "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE",
        "SET search_path = pg_catalog",
        "BEGIN; SELECT 1 / 0",
    ] {
        let database = Postgres::create();
        ship(&mut database.connect());
        assert_recovers::<PgConnection>(database.url(), spoil);
    }
}

#[test]
fn a_feed_of_mariadb_gets_rid_of_spoiled_connections() {
    for spoil in ["SET autocommit = 0", "USE information_schema"] {
        let database = Mariadb::create();
        ship(&mut database.connect());
        assert_recovers::<MysqlConnection>(database.url(), spoil);
    }
}

fn impatient(read_timeout: Duration) -> Limits {
    Limits::default()
        .max_concurrent_reads(1)
        .read_timeout(read_timeout)
}

#[test]
fn a_request_is_answered_although_the_database_is_silent() {
    let database = Postgres::create();
    ship(&mut database.connect());
    let silent = SilentServer::start();
    let connect = silent.before(database.url(), 2);
    let feed = Feed::new(connect, TOPICS).unwrap().public();
    let serving = Serving::start(feed.limits(impatient(Duration::from_millis(200))));
    let begun = Instant::now();
    assert_eq!(get(serving.address, "/orders", &[]).status, 503);
    assert!(begun.elapsed() < Duration::from_secs(10));
    // Both reads still hang, and a third one takes their place.
    wait_until_served(serving.address);
    assert_eq!(silent.accepted(), 2);
}

#[test]
fn a_feed_recovers_from_a_connection_that_stops_to_answer() {
    let database = Arc::new(Postgres::create());
    ship(&mut database.connect());
    let (through, proxy) = PausableProxy::before(&database.url());
    let url = database.url();
    let mut first = Some(PgConnection::establish(&through).unwrap());
    first.as_mut().unwrap().batch_execute("SELECT 1").unwrap();
    let first = std::sync::Mutex::new(first);
    let connect = move || -> ConnectionResult<PgConnection> {
        let first = first.lock().unwrap().take();
        first.map_or_else(|| PgConnection::establish(&url), Ok)
    };
    proxy.pause();
    let feed = Feed::new(connect, TOPICS).unwrap().public();
    let serving = Serving::start(feed.limits(impatient(Duration::from_secs(4))));
    let begun = Instant::now();
    assert_eq!(get(serving.address, "/orders", &[]).status, 503);
    wait_until_served(serving.address);
    assert!(begun.elapsed() < Duration::from_secs(30));
}
