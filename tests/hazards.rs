//! Runners when the application's code panics, hangs, or keeps somebody waiting.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use diesel::Connection;
use diesel::connection::SimpleConnection;
use persisting_message_bus::{
    GiveUp, HandlerError, Message, MessageConsumer, MessageConsumerState, MessageDispatcher,
    MessageFailures, MessageRepository, Retry, Runner, Topic,
};
use persisting_message_bus_tests::databases::{Database, Mariadb, Memory, Postgres, Sqlite};
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};
use serde::{Deserialize, Deserializer, Serialize};

fn place(bus: &mut impl MessageRepository, numbers: std::ops::Range<u64>) {
    MessageDispatcher::<Orders>::new()
        .dispatch_batch(bus, numbers.map(OrderPlaced::number))
        .unwrap();
}

fn runner<D: Database + Send + 'static>(database: &Arc<D>) -> Runner<D::Bus> {
    let database = Arc::clone(database);
    Runner::new(move || Ok::<_, io::Error>(database.connect()))
        .idle_interval(Duration::from_millis(50))
        .retry(
            Retry::default()
                .base(Duration::from_millis(2))
                .cap(Duration::from_millis(50))
                .attempts(3),
        )
}

#[test]
fn stopping_keeps_its_deadline_while_the_heartbeat_waits_for_a_connection() {
    let database = Arc::new(Sqlite::create());
    place(&mut database.connect(), 0..1);
    let connects = AtomicU32::new(0);
    let of = Arc::clone(&database);
    let running = Runner::new(move || {
        if connects.fetch_add(1, Ordering::SeqCst) == 1 {
            // A pool that is exhausted, a server behind a firewall that drops packets.
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
fn stopping_may_take_as_long_as_it_wants() {
    let database = Arc::new(Memory::create());
    let consumer = MessageConsumer::<Orders>::external("all", |_: &Message<Orders>| Ok(()));
    let running = runner(&database).consumer(consumer).start();
    running.stop_within(Duration::MAX).unwrap();
}

#[test]
fn a_heartbeat_survives_a_panic_of_connect() {
    let database = Arc::new(Sqlite::create());
    place(&mut database.connect(), 0..1);
    let connects = AtomicU32::new(0);
    let of = Arc::clone(&database);
    let handled = Arc::new(AtomicU32::new(0));
    let counting = Arc::clone(&handled);
    let slow = move |_: &Message<Orders>| {
        counting.fetch_add(1, Ordering::SeqCst);
        thread::sleep(Duration::from_millis(2_500));
        Ok(())
    };
    let consumer = |slow| {
        MessageConsumer::<Orders>::external("all", slow).lease_duration(Duration::from_millis(900))
    };
    let running = Runner::new(move || {
        if connects.fetch_add(1, Ordering::SeqCst) == 1 {
            panic!("once");
        }
        Ok::<_, io::Error>(of.connect())
    })
    .consumer(consumer(slow.clone()))
    .start();
    thread::sleep(Duration::from_millis(200));
    let standby = runner(&database).consumer(consumer(slow)).start();
    thread::sleep(Duration::from_millis(2_500));
    let ended = running.stop_within(Duration::from_secs(10)).unwrap();
    standby.stop_within(Duration::from_secs(10)).unwrap();
    assert_eq!(handled.load(Ordering::SeqCst), 1, "{ended:?}");
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

#[test]
fn a_panic_while_a_message_is_decoded_is_its_failure() {
    let database = Arc::new(Sqlite::create());
    MessageDispatcher::<Traps>::new()
        .dispatch_batch(
            &mut database.connect(),
            (1..4).map(|number| Booby { number }),
        )
        .unwrap();
    let (sender, seen) = channel();
    let consumer = MessageConsumer::<Traps>::external("all", move |message: &Message<Traps>| {
        let Traps::Booby(booby) = message.payload();
        Ok(sender.send(booby.number)?)
    })
    .retry(
        Retry::default()
            .base(Duration::from_millis(2))
            .attempts(2)
            .then(GiveUp::Park),
    );
    let running = runner(&database).consumer(consumer).start();
    let first = seen.recv_timeout(Duration::from_secs(3));
    let second = seen.recv_timeout(Duration::from_secs(3));
    let ended = running.stop_within(Duration::from_secs(10)).unwrap();
    let held = database
        .connect()
        .stored_consumer("all", "orders")
        .unwrap()
        .unwrap()
        .lease_owner;
    assert_eq!((first, second, &held), (Ok(1), Ok(3), &None), "{ended:?}");
}

/// The handler's own nested transaction is open when it panics: Diesel does not roll back on unwinding.
fn a_panic_in_a_nested_transaction<D>()
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
    let begun = Instant::now();
    let mut cursor = 0;
    while begun.elapsed() < Duration::from_secs(3) && cursor < 3 {
        thread::sleep(Duration::from_millis(50));
        let stored = database.connect().stored_consumer("all", "orders").unwrap();
        cursor = stored
            .and_then(|stored| stored.cursor)
            .map_or(0, |at| at.get());
    }
    let ended = running.stop_within(Duration::from_secs(10)).unwrap();
    let stored = database.connect().stored_consumer("all", "orders").unwrap();
    assert_eq!(cursor, 3, "{ended:?} {stored:?}");
}

#[test]
fn a_panic_in_a_nested_transaction_on_sqlite() {
    a_panic_in_a_nested_transaction::<Sqlite>();
}

#[test]
fn a_panic_in_a_nested_transaction_on_postgres() {
    a_panic_in_a_nested_transaction::<Postgres>();
}

#[test]
fn a_panic_in_a_nested_transaction_on_mariadb() {
    a_panic_in_a_nested_transaction::<Mariadb>();
}

/// A page of a transactional handler that takes longer than its lease; somebody stands by.
fn a_standby<D: Database + Send + 'static>(
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
fn a_standby_on_sqlite() {
    a_standby::<Sqlite>(|database| {
        let mut bus = database.connect();
        bus.batch_execute("PRAGMA busy_timeout = 1000").unwrap();
        bus
    });
}

#[test]
fn a_standby_on_postgres() {
    a_standby::<Postgres>(Database::connect);
}

#[test]
fn a_standby_on_mariadb() {
    a_standby::<Mariadb>(Database::connect);
}

#[test]
fn a_hook_has_its_own_attempts() {
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
        Retry::default()
            .base(Duration::from_millis(1))
            .cap(Duration::from_millis(5))
            .attempts(8),
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
fn publishers_go_on_after_a_panic_in_a_nested_transaction() {
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
        Retry::default()
            .base(Duration::from_millis(2))
            .attempts(2)
            .then(GiveUp::Park),
    );
    let running = runner(&database).consumer(consumer).start();
    thread::sleep(Duration::from_millis(1_500));
    let seen: Vec<_> = seen.try_iter().collect();
    let mut publisher = database.connect();
    publisher
        .batch_execute("PRAGMA busy_timeout = 3000")
        .unwrap();
    let dispatched =
        MessageDispatcher::<Orders>::new().dispatch(&mut publisher, &OrderPlaced::number(9));
    let ended = running.stop_within(Duration::from_secs(10));
    let parked = database.connect().count_parked("all", "orders").unwrap();
    let cursor = database
        .connect()
        .stored_consumer("all", "orders")
        .unwrap()
        .unwrap()
        .cursor;
    assert!(
        dispatched.is_ok(),
        "{dispatched:?} {ended:?} saw {seen:?} parked {parked} cursor {cursor:?}"
    );
}

/// Somebody's open transaction on one consumer's row keeps the leases of others from being prolonged.
#[test]
fn a_lease_that_cannot_be_prolonged_keeps_no_other_from_it() {
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
    let of_b = bus.stored_consumer("b", "orders").unwrap().unwrap();
    operator.batch_execute("ROLLBACK").unwrap();
    running.stop_within(Duration::from_secs(20)).unwrap();
    assert!(of_b.lease_expires_at.unwrap() > of_b.now, "{of_b:?}");
}
