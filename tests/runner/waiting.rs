//! A connection, a handler or a lock makes runners wait.

use persisting_message_bus::operate::ConsumerKey;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use persisting_message_bus::backend::MessageConsumerState;
use persisting_message_bus::{Message, MessageConsumer, Runner};
use persisting_message_bus_tests::databases::{Database, Mariadb, Memory, Postgres, Sqlite};
use persisting_message_bus_tests::topics::Orders;

use super::{place, runner};

#[test]
fn stopping_keeps_its_deadline_while_the_heartbeat_waits_for_a_connection() {
    let database = Arc::new(Sqlite::create());
    place(&mut database.connect(), 0..1);
    let connects = AtomicU32::new(0);
    let of = Arc::clone(&database);
    let running = Runner::new(move || {
        if connects.fetch_add(1, Ordering::SeqCst) == 1 {
            // As an exhausted pool does, or a firewall that drops packets to the server.
            thread::sleep(Duration::from_secs(8));
        }
        Ok::<_, io::Error>(of.connect())
    });
    let (sender, seen) = channel();
    let consumer = MessageConsumer::<Orders>::external("all", move |_: &Message<Orders>| {
        thread::sleep(Duration::from_millis(500));
        Ok(sender.send(())?)
    })
    .lease_duration(Duration::from_millis(600));
    let running = running.consumer(consumer).start();
    seen.recv().unwrap();
    let begun = Instant::now();
    let ended = running.stop_within(Duration::from_secs(1));
    let took = begun.elapsed();
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
fn a_standby_stops_in_time<D: Database + Send + 'static>(
    connect: impl Fn(&D) -> D::Bus + Send + Sync + 'static + Copy,
) {
    let database = Arc::new(D::create());
    place(&mut database.connect(), 0..1);
    let (at, is_at) = channel();
    let start = || {
        let at = at.clone();
        let consumer = MessageConsumer::<Orders>::transactional(
            "all",
            move |_: &mut D::Bus, _: &Message<Orders>| {
                at.send(())?;
                thread::sleep(Duration::from_secs(4));
                Ok(())
            },
        )
        .lease_duration(Duration::from_millis(500));
        let database = Arc::clone(&database);
        Runner::new(move || Ok::<_, io::Error>(connect(&database)))
            .idle_interval(Duration::from_millis(100))
            .consumer(consumer)
            .start()
    };
    let holder = start();
    is_at.recv().unwrap();
    let standby = start();
    thread::sleep(Duration::from_millis(1_500));
    let begun = Instant::now();
    let stopped = standby.stop_within(Duration::from_secs(2));
    let took = begun.elapsed();
    drop(holder.stop_within(Duration::from_secs(20)));
    assert!(stopped.is_ok(), "{stopped:?} after {took:?}");
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
    let (sender, seen) = channel();
    let slow = |name: &'static str| {
        let sender = sender.clone();
        MessageConsumer::<Orders>::external(name, move |_: &Message<Orders>| {
            sender.send(name)?;
            thread::sleep(Duration::from_millis(4_000));
            Ok(())
        })
        .lease_duration(Duration::from_millis(900))
    };
    let running = runner(&database)
        .consumer(slow("a"))
        .consumer(slow("b"))
        .start();
    for _ in 0..2 {
        seen.recv().unwrap();
    }
    let mut operator = database.connect();
    operator
        .batch_execute(
            "BEGIN; UPDATE message_consumer_state SET paused_at = now() WHERE consumer = 'a'",
        )
        .unwrap();
    thread::sleep(Duration::from_millis(2_000));
    let mut bus = database.connect();
    let of_b = bus
        .stored_consumer(ConsumerKey {
            consumer: "b",
            topic: "orders",
        })
        .unwrap()
        .unwrap();
    operator.batch_execute("ROLLBACK").unwrap();
    running.stop_within(Duration::from_secs(20)).unwrap();
    assert!(of_b.lease_expires_at.unwrap() > of_b.now, "{of_b:?}");
}
