//! The application's code panics or fails repeatedly.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use diesel::Connection;
use diesel::connection::SimpleConnection;
use persisting_message_bus::handler::HandlerError;
use persisting_message_bus::operate::{ConsumerKey, MessageFailures};
use persisting_message_bus::{
    FailurePolicy, Message, MessageConsumer, MessageDispatcher, Position, RetryPolicy, Runner,
    Topic,
};
use persisting_message_bus_tests::databases::{Database, Mariadb, Postgres, Sqlite};
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};
use persisting_message_bus_tests::waiting::{wait_for, wait_until};
use serde::{Deserialize, Deserializer, Serialize};

use super::gate::Gate;
use super::renewals::assert_kept;
use super::{cursor, place, runner, stored};

#[test]
fn a_heartbeat_survives_a_panic_of_connect() {
    let database = Arc::new(Sqlite::create());
    place(&mut database.connect(), 0..1);
    let connects = AtomicU32::new(0);
    let of = Arc::clone(&database);
    let (lease, gate) = (Duration::from_millis(900), Gate::default());
    let consumer = || {
        let gate = gate.clone();
        let slow = move |_: &Message<Orders>| {
            gate.pass();
            Ok(())
        };
        MessageConsumer::<Orders>::external("all", slow).lease_duration(lease)
    };
    let running = Runner::new(move || {
        if connects.fetch_add(1, Ordering::SeqCst) == 1 {
            panic!("once");
        }
        Ok::<_, io::Error>(of.connect())
    })
    .consumer(consumer())
    .start();
    gate.wait_for_arrivals(1);
    let standby = runner(&database).consumer(consumer()).start();
    // The heartbeat connects for the first renewal, so the panic precedes each renewal.
    assert_kept(&mut database.connect(), "all", lease);
    gate.open();
    let ended = running.stop_within(Duration::from_secs(10)).unwrap();
    standby.stop_within(Duration::from_secs(10)).unwrap();
    assert_eq!(gate.arrivals(), 1, "{ended:?}");
}

#[test]
fn a_consumer_survives_a_panic_of_connect() {
    let database = Arc::new(Sqlite::create());
    place(&mut database.connect(), 0..1);
    let connects = AtomicU32::new(0);
    let of = Arc::clone(&database);
    let (sender, seen) = channel();
    let consumer =
        MessageConsumer::<Orders>::external("all", move |_: &Message<Orders>| Ok(sender.send(())?));
    let running = Runner::new(move || {
        if connects.fetch_add(1, Ordering::SeqCst) == 0 {
            panic!("once");
        }
        Ok::<_, io::Error>(of.connect())
    })
    .consumer(consumer)
    .start();
    let seen = seen.recv_timeout(Duration::from_secs(5));
    let ended = running.stop_within(Duration::from_secs(10)).unwrap();
    assert!(seen.is_ok(), "{ended:?}");
}

#[derive(Debug, Serialize)]
struct Booby {
    number: u64,
}
impl<'de> Deserialize<'de> for Booby {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Raw {
            number: u64,
        }
        let raw = Raw::deserialize(deserializer)?;
        assert!(raw.number != 2, "a bug in Deserialize");
        Ok(Self { number: raw.number })
    }
}
#[derive(Debug, Topic)]
#[topic(name = "orders")]
enum Traps {
    Booby(Booby),
}

/// The same messages in a program without the bug, which dispatches them.
#[derive(Debug, Serialize, Deserialize)]
struct Sound {
    number: u64,
}
#[derive(Debug, Topic)]
#[topic(name = "orders")]
enum Earlier {
    #[message(name = "Booby")]
    Sound(Sound),
}

#[test]
fn a_panic_during_decoding_fails_the_message() {
    let database = Arc::new(Sqlite::create());
    MessageDispatcher::<Earlier>::new()
        .dispatch_batch(
            &mut database.connect(),
            (1..4).map(|number| Sound { number }),
        )
        .unwrap();
    let (sender, seen) = channel();
    let consumer = MessageConsumer::<Traps>::external("all", move |message: &Message<Traps>| {
        let Traps::Booby(booby) = message.payload();
        Ok(sender.send(booby.number)?)
    })
    .retry(
        RetryPolicy::default()
            .initial_delay(Duration::from_millis(2))
            .max_attempts(2)
            .on_exhausted(FailurePolicy::Park),
    );
    let running = runner(&database).consumer(consumer).start();
    let first = seen.recv_timeout(Duration::from_secs(3));
    let second = seen.recv_timeout(Duration::from_secs(3));
    let ended = running.stop_within(Duration::from_secs(10)).unwrap();
    let held = stored(&mut database.connect(), "all").unwrap().lease_owner;
    assert_eq!((first, second, &held), (Ok(1), Ok(3), &None), "{ended:?}");
}

/// The handler panics while its own nested transaction is open. Diesel does not roll back on
/// unwinding.
fn a_panic_in_a_nested_transaction_does_not_stop_the_consumer<D>()
where
    D: Database + Send + 'static,
    D::Bus: Connection,
{
    let database = Arc::new(D::create());
    place(&mut database.connect(), 1..4);
    let panics = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&panics);
    let consumer = MessageConsumer::<Orders>::transactional(
        "all",
        move |bus: &mut D::Bus, message: &Message<Orders>| {
            let order = message.payload().order();
            bus.transaction::<_, HandlerError, _>(|_bus| {
                if order == 2 && count.fetch_add(1, Ordering::SeqCst) == 0 {
                    panic!("a bug");
                }
                Ok(())
            })
        },
    );
    let running = runner(&database).consumer(consumer).start();
    let mut bus = database.connect();
    wait_for("the last message is handled", || {
        match stored(&mut bus, "all") {
            Some(stored) if stored.cursor == Some(Position::new(3)) => Ok(()),
            other => Err(Box::new(other)),
        }
    });
    running.stop_within(Duration::from_secs(10)).unwrap();
}

#[test]
fn a_panic_in_a_nested_transaction_does_not_stop_the_consumer_on_sqlite() {
    a_panic_in_a_nested_transaction_does_not_stop_the_consumer::<Sqlite>();
}

#[test]
fn a_panic_in_a_nested_transaction_does_not_stop_the_consumer_on_postgres() {
    a_panic_in_a_nested_transaction_does_not_stop_the_consumer::<Postgres>();
}

#[test]
fn a_panic_in_a_nested_transaction_does_not_stop_the_consumer_on_mariadb() {
    a_panic_in_a_nested_transaction_does_not_stop_the_consumer::<Mariadb>();
}

#[test]
fn failed_connections_do_not_count_as_attempts_of_a_hook() {
    let database = Arc::new(Sqlite::create());
    place(&mut database.connect(), 0..1);
    let connects = AtomicU32::new(0);
    let of = Arc::clone(&database);
    let (sender, seen) = channel();
    let calls = Arc::new(AtomicU32::new(0));
    let counting = Arc::clone(&calls);
    let consumer =
        MessageConsumer::<Orders>::external("all", move |_: &Message<Orders>| Ok(sender.send(())?))
            .before_replay(move || match counting.fetch_add(1, Ordering::SeqCst) {
                0 => Err("once".into()),
                _ => Ok(()),
            });
    let running = Runner::new(move || match connects.fetch_add(1, Ordering::SeqCst) {
        0..10 => Err(io::Error::other("away")),
        _ => Ok(of.connect()),
    })
    .retry(
        RetryPolicy::default()
            .initial_delay(Duration::from_millis(1))
            .max_delay(Duration::from_millis(5))
            .max_attempts(8),
    )
    .consumer(consumer)
    .start();
    let seen = seen.recv_timeout(Duration::from_secs(5));
    let ended = running.stop_within(Duration::from_secs(10)).unwrap();
    assert!(
        seen.is_ok(),
        "after {} of 8 attempts: {ended:?}",
        calls.load(Ordering::SeqCst)
    );
}

#[test]
fn publishers_can_write_after_a_panic_in_a_nested_transaction() {
    let database = Arc::new(Sqlite::create());
    place(&mut database.connect(), 1..4);
    let (sender, seen) = channel();
    let consumer = MessageConsumer::<Orders>::transactional(
        "all",
        move |bus: &mut diesel::SqliteConnection, message: &Message<Orders>| {
            let order = message.payload().order();
            sender.send(order)?;
            bus.transaction::<_, HandlerError, _>(|_bus| {
                assert!(order != 2, "a bug");
                Ok(())
            })
        },
    )
    .retry(
        RetryPolicy::default()
            .initial_delay(Duration::from_millis(2))
            .max_attempts(2)
            .on_exhausted(FailurePolicy::Park),
    );
    let running = runner(&database).consumer(consumer).start();
    let mut bus = database.connect();
    wait_until(
        "the message that panics is parked, and the next one handled",
        || cursor(&mut bus, "all") == 3,
    );
    let seen: Vec<_> = seen.try_iter().collect();
    let mut publisher = database.connect();
    publisher
        .batch_execute("PRAGMA busy_timeout = 3000")
        .unwrap();
    let dispatched =
        MessageDispatcher::<Orders>::new().dispatch(&mut publisher, &OrderPlaced::number(9));
    let ended = running.stop_within(Duration::from_secs(10));
    let parked = bus
        .count_parked(ConsumerKey {
            consumer: "all",
            topic: "orders",
        })
        .unwrap();
    let cursor = cursor(&mut bus, "all");
    assert!(
        dispatched.is_ok(),
        "{dispatched:?} {ended:?} saw {seen:?} parked {parked} cursor {cursor}"
    );
}
