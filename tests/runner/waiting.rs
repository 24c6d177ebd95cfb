//! A connection, a handler or a lock makes runners wait.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use diesel::Connection;
use diesel::connection::SimpleConnection;
use persisting_message_bus::{Message, MessageConsumer, RetryPolicy, Runner};
use persisting_message_bus_tests::databases::{Database, Mariadb, Memory, Postgres, Sqlite};
use persisting_message_bus_tests::statements::Log;
use persisting_message_bus_tests::topics::Orders;
use persisting_message_bus_tests::waiting::wait_for;

use super::gate::Gate;
use super::{place, runner, stored};

#[test]
fn stopping_keeps_its_deadline_while_the_heartbeat_waits_for_a_connection() {
    let database = Arc::new(Sqlite::create());
    place(&mut database.connect(), 0..1);
    let connects = AtomicU32::new(0);
    let of = Arc::clone(&database);
    let [connecting, handling] = [(); 2].map(|()| Gate::default());
    let gate = connecting.clone();
    let running = Runner::new(move || {
        if connects.fetch_add(1, Ordering::SeqCst) == 1 {
            // As an exhausted pool does, or a firewall that drops packets to the server.
            gate.pass();
        }
        Ok::<_, io::Error>(of.connect())
    });
    let gate = handling.clone();
    let consumer = MessageConsumer::<Orders>::external("all", move |_: &Message<Orders>| {
        gate.pass();
        Ok(())
    })
    .lease_duration(Duration::from_millis(600));
    let running = running.consumer(consumer).start();
    handling.wait_for_arrivals(1);
    connecting.wait_for_arrivals(1);
    handling.open();
    let begun = Instant::now();
    let ended = running.stop_within(Duration::from_secs(1));
    let took = begun.elapsed();
    connecting.open();
    assert!(took < Duration::from_secs(2), "{took:?}, {ended:?}");
}

#[test]
fn stopping_accepts_an_unlimited_deadline() {
    let database = Arc::new(Memory::create());
    let consumer = MessageConsumer::<Orders>::external("all", |_: &Message<Orders>| Ok(()));
    let running = runner(&database).consumer(consumer).start();
    running.stop_within(Duration::MAX).unwrap();
}

/// A transactional page takes longer than its lease while a second runner stands by. The standby
/// must stop within 2 s.
fn a_standby_stops_in_time<D>(connect: impl Fn(&D) -> D::Bus + Send + Sync + 'static + Copy)
where
    D: Database<Bus: Connection> + Send + 'static,
{
    let database = Arc::new(D::create());
    let mut bus = database.connect();
    place(&mut bus, 0..1);
    let gate = Gate::default();
    let start = |log: Log| {
        let gate = gate.clone();
        let consumer = MessageConsumer::<Orders>::transactional(
            "all",
            move |_: &mut D::Bus, _: &Message<Orders>| {
                gate.pass();
                Ok(())
            },
        )
        .lease_duration(Duration::from_millis(500));
        let database = Arc::clone(&database);
        let connect = move || {
            let mut bus = connect(&database);
            log.watch(&mut bus);
            Ok::<_, io::Error>(bus)
        };
        Runner::new(connect)
            .idle_interval(Duration::from_millis(100))
            .retry(RetryPolicy::default().max_delay(Duration::from_millis(100)))
            .consumer(consumer)
            .start()
    };
    let holder = start(Log::default());
    gate.wait_for_arrivals(1);
    let log = Log::default();
    let standby = start(log.clone());
    wait_for("the lease expires during the page", || {
        let stored = stored(&mut bus, "all").expect("a stored consumer");
        let has_expired = stored.lease_expires_at.is_some_and(|at| at < stored.now);
        has_expired.then_some(()).ok_or(Box::new(stored))
    });
    let attempts = attempts_to_take(&log);
    wait_for("the standby attempts to take the expired lease", || {
        let more = attempts_to_take(&log) > attempts;
        more.then_some(()).ok_or(&log)
    });
    let begun = Instant::now();
    let stopped = standby.stop_within(Duration::from_secs(2));
    let took = begun.elapsed();
    gate.open();
    drop(holder.stop_within(Duration::from_secs(20)));
    assert!(stopped.is_ok(), "{stopped:?} after {took:?}");
}

/// Returns how often the connection has begun to lock the consumer's row: on SQLite by an upsert.
fn attempts_to_take(log: &Log) -> usize {
    let locks = |text: &&String| text.contains("SKIP LOCKED") || text.contains("ON CONFLICT");
    log.statements().iter().filter(locks).count()
}

#[test]
fn a_standby_stops_in_time_on_sqlite() {
    a_standby_stops_in_time::<Sqlite>(|database| {
        let mut bus = database.connect();
        bus.batch_execute("PRAGMA busy_timeout = 1000").unwrap();
        bus
    });
}

#[test]
fn a_standby_stops_in_time_on_postgres() {
    a_standby_stops_in_time::<Postgres>(Database::connect);
}

#[test]
fn a_standby_stops_in_time_on_mariadb() {
    a_standby_stops_in_time::<Mariadb>(Database::connect);
}

/// An open transaction locks one consumer's row. The leases of the other consumers must still be
/// renewed.
#[test]
fn a_lease_is_renewed_when_another_one_cannot_be() {
    let database = Arc::new(Postgres::create());
    place(&mut database.connect(), 0..1);
    let (lease, gate) = (Duration::from_millis(900), Gate::default());
    let slow = |name: &'static str| {
        let gate = gate.clone();
        MessageConsumer::<Orders>::external(name, move |_: &Message<Orders>| {
            gate.pass();
            Ok(())
        })
        .lease_duration(lease)
    };
    let running = runner(&database)
        .consumer(slow("a"))
        .consumer(slow("b"))
        .start();
    gate.wait_for_arrivals(2);
    let mut operator = database.connect();
    operator
        .batch_execute(
            "BEGIN; UPDATE message_consumer_state SET paused_at = now() WHERE consumer = 'a'",
        )
        .unwrap();
    let mut bus = database.connect();
    wait_for("b is renewed after the lease of a has expired", || {
        let [of_a, of_b] = ["a", "b"].map(|name| stored(&mut bus, name).unwrap());
        let [end_of_a, end_of_b] = [&of_a, &of_b].map(|of| of.lease_expires_at.unwrap());
        assert!(end_of_b > of_b.now, "the lease of b has expired: {of_b:?}");
        let is_renewed = end_of_a < of_a.now && end_of_b > end_of_a + lease;
        is_renewed.then_some(()).ok_or(Box::new([of_a, of_b]))
    });
    gate.open();
    operator.batch_execute("ROLLBACK").unwrap();
    running.stop_within(Duration::from_secs(20)).unwrap();
}
