//! Findings of a review. Run with --test-threads=1.
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, Once};
use std::thread;
use std::time::{Duration, Instant};

use diesel::Connection;
use diesel::connection::SimpleConnection;
use persisting_message_bus::{
    Duplicates, GiveUp, HandlerError, Message, MessageConsumer, MessageConsumerState,
    MessageDispatcher, MessageFailures, MessageRepository, MessageSource, Parked, RawMessage,
    Retry, Runner, Topic,
};
use persisting_message_bus_tests::databases::{Database, Mariadb, Memory, Postgres, Sqlite};
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};
use serde::{Deserialize, Deserializer, Serialize};

static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());
struct Log;
impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
fn log_on() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        tracing_subscriber::fmt()
            .with_ansi(false)
            .with_max_level(tracing::Level::INFO)
            .with_writer(|| Log)
            .init();
    });
    LOG.lock().unwrap().clear();
}
fn logged() -> String {
    String::from_utf8(LOG.lock().unwrap().clone()).unwrap()
}

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

fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<_> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

#[test]
fn a_consumer_whose_lease_is_zero_keeps_no_processor_busy() {
    let database = Arc::new(Memory::create());
    let consumer = MessageConsumer::<Orders>::external("all", |_: &Message<Orders>| Ok(()))
        .lease_duration(Duration::ZERO);
    let running = runner(&database)
        .idle_interval(Duration::from_secs(2))
        .consumer(consumer)
        .start();
    thread::sleep(Duration::from_millis(300));
    let before = cpu();
    thread::sleep(Duration::from_secs(1));
    let used = cpu() - before;
    drop(running);
    assert!(used < Duration::from_millis(200), "{used:?} of a second");
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

#[test]
fn a_heartbeat_without_a_connection_is_told() {
    log_on();
    let database = Arc::new(Sqlite::create());
    place(&mut database.connect(), 0..1);
    // A pool of one connection for one consumer.
    let taken = AtomicBool::new(false);
    let of = Arc::clone(&database);
    let (sender, seen) = channel();
    let consumer = MessageConsumer::<Orders>::external("all", move |_: &Message<Orders>| {
        thread::sleep(Duration::from_millis(1_000));
        Ok(sender.send(())?)
    })
    .lease_duration(Duration::from_millis(300));
    let running = Runner::new(move || {
        if taken.swap(true, Ordering::SeqCst) {
            return Err(io::Error::other("timed out waiting for connection"));
        }
        Ok(of.connect())
    })
    .consumer(consumer)
    .start();
    seen.recv().unwrap();
    running.stop_within(Duration::from_secs(10)).unwrap();
    let log = logged();
    assert!(log.contains("WARN"), "nothing but: {log}");
}

#[test]
fn several_processes_do_not_use_the_attempts_up_at_once() {
    let database = Arc::new(Sqlite::create());
    place(&mut database.connect(), 0..1);
    let begun = Instant::now();
    let times = Arc::new(Mutex::new(Vec::new()));
    let running: Vec<_> = (0..8)
        .map(|_| {
            let times = Arc::clone(&times);
            let consumer =
                MessageConsumer::<Orders>::external("all", move |_: &Message<Orders>| {
                    times.lock().unwrap().push(begun.elapsed());
                    Err("a service is away for ten seconds".into())
                })
                .retry(Retry::default().then(GiveUp::Park));
            let of = Arc::clone(&database);
            Runner::new(move || Ok::<_, io::Error>(of.connect()))
                .consumer(consumer)
                .start()
        })
        .collect();
    let mut bus = database.connect();
    while bus.count_parked("all", "orders").unwrap() == 0
        && begun.elapsed() < Duration::from_secs(10)
    {
        thread::sleep(Duration::from_millis(20));
    }
    let took = begun.elapsed();
    for running in running {
        running.stop_within(Duration::from_secs(10)).unwrap();
    }
    // One process takes a minute on average: 0.5 + 1 + 2 + 4 + 8 + 16 + 30 s.
    assert!(
        took > Duration::from_secs(10),
        "parked after {took:?}: {:?}",
        times.lock().unwrap()
    );
}

#[test]
fn redriven_messages_keep_the_lease() {
    let database = Sqlite::create();
    let mut bus = database.connect();
    place(&mut bus, 0..6);
    let lease = Duration::from_millis(600);
    let fails = Arc::new(AtomicBool::new(true));
    let handled = Arc::new(Mutex::new(Vec::new()));
    let make = || {
        let (fails, handled) = (Arc::clone(&fails), Arc::clone(&handled));
        MessageConsumer::<Orders>::external("all", move |message: &Message<Orders>| {
            if fails.load(Ordering::SeqCst) {
                return Err("no".into());
            }
            handled.lock().unwrap().push(message.payload().order());
            // Less than two thirds of the lease.
            thread::sleep(Duration::from_millis(300));
            Ok(())
        })
        .lease_duration(lease)
        .retry(Retry::default().attempts(1).then(GiveUp::Park))
    };
    let mut consumer = make();
    while bus.count_parked("all", "orders").unwrap() < 6 {
        consumer.handle_new_messages(&mut bus).unwrap();
    }
    fails.store(false, Ordering::SeqCst);
    assert_eq!(bus.redrive("all", "orders", Parked::All).unwrap(), 6);
    let mut other = make();
    let mut connection = database.connect();
    let thread = thread::spawn(move || consumer.handle_new_messages(&mut bus));
    thread::sleep(Duration::from_millis(1_000));
    let second = other.handle_new_messages(&mut connection);
    let first = thread.join().unwrap();
    let handled = handled.lock().unwrap().clone();
    assert!(
        second.as_ref().is_err_and(|error| error.is_locked()),
        "{first:?} {second:?} {handled:?}"
    );
}

/// A page of a transactional handler that takes longer than its lease; somebody stands by.
fn a_standby<D: Database + Send + 'static>(
    connect: impl Fn(&D) -> D::Bus + Send + Sync + 'static + Copy,
) {
    log_on();
    let database = Arc::new(D::create());
    place(&mut database.connect(), 0..1);
    let (at, is_at) = channel();
    let start = || {
        let at = at.clone();
        let consumer = MessageConsumer::<Orders>::transactional(
            "all",
            move |_: &mut D::Bus, _: &Message<Orders>| {
                at.send(())?;
                thread::sleep(Duration::from_secs(8));
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
    thread::sleep(Duration::from_secs(4));
    let log = logged();
    let begun = Instant::now();
    let stopped = standby.stop_within(Duration::from_secs(2));
    let took = begun.elapsed();
    drop(holder.stop_within(Duration::from_secs(20)));
    eprintln!("standby: {stopped:?} after {took:?}\n{log}");
    assert!(
        stopped.is_ok() && !log.contains("WARN"),
        "{stopped:?} {log}"
    );
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
fn a_connection_that_fails_names_the_consumer() {
    log_on();
    let consumer = MessageConsumer::<Orders>::external("mailer", |_: &Message<Orders>| Ok(()));
    let running = Runner::new(|| {
        Err::<persisting_message_bus::memory::InMemoryMessageBus, _>(io::Error::other("away"))
    })
    .consumer(consumer)
    .start();
    thread::sleep(Duration::from_millis(300));
    running.stop_within(Duration::from_secs(10)).unwrap();
    let log = logged();
    let warned = log.lines().find(|line| line.contains("WARN")).unwrap();
    assert!(warned.contains("mailer"), "{warned}");
}

#[test]
fn a_listener_that_cannot_connect_is_told() {
    use diesel::PgConnection;
    use persisting_message_bus::diesel::postgres::Notifications;
    log_on();
    let connect = || PgConnection::establish("postgres://nobody@127.0.0.1:1/nowhere");
    let listener =
        Notifications::default().listener(connect, persisting_message_bus::Nudge::default());
    let notifier = Notifications::default().notifier(connect);
    notifier.notify();
    thread::sleep(Duration::from_secs(2));
    drop((listener, notifier));
    let log = logged();
    assert!(log.contains("WARN"), "nothing but: {log:?}");
}

#[allow(unused)]
fn unused(_: AtomicU64, _: Duplicates, _: RawMessage, _: &dyn MessageSource) {}

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
    log_on();
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
    eprintln!(
        "{} {}",
        seen.len(),
        logged().lines().take(12).collect::<Vec<_>>().join("\n")
    );
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

/// What a transactional handler dispatches comes to a neighbour in the same runner at once when it nudges?
#[test]
fn a_chain_of_consumers_needs_no_idle_interval() {
    use persisting_message_bus_tests::topics::{Paid, Payments};
    let database = Arc::new(Postgres::create());
    let (sender, seen) = channel();
    let nudge: Arc<Mutex<Option<persisting_message_bus::Nudge>>> = Arc::default();
    let in_handler = Arc::clone(&nudge);
    let payer = MessageConsumer::<Orders>::transactional(
        "payer",
        move |bus: &mut diesel::PgConnection, message: &Message<Orders>| {
            let order = message.payload().order();
            MessageDispatcher::<Payments>::new().dispatch(bus, &Paid { order })?;
            if let Some(nudge) = &*in_handler.lock().unwrap() {
                nudge.nudge();
            }
            Ok(())
        },
    );
    let reader = MessageConsumer::<Payments>::external("reader", move |_: &Message<Payments>| {
        Ok(sender.send(Instant::now())?)
    });
    let of = Arc::clone(&database);
    let running = Runner::new(move || Ok::<_, io::Error>(of.connect()))
        .consumer(payer)
        .consumer(reader)
        .start();
    *nudge.lock().unwrap() = Some(running.nudge());
    thread::sleep(Duration::from_secs(6));
    let mut bus = database.connect();
    let mut longest = Duration::ZERO;
    for order in 0..4 {
        place(&mut bus, order..order + 1);
        let begun = Instant::now();
        running.nudge().nudge();
        let at = seen.recv_timeout(Duration::from_secs(10)).unwrap();
        longest = longest.max(at - begun);
        thread::sleep(Duration::from_millis(5_300));
    }
    assert!(longest < Duration::from_millis(200), "{longest:?}");
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
        .batch_execute("BEGIN; UPDATE message_consumer_state SET paused_at = now() WHERE consumer_name = 'a'")
        .or_else(|_| operator.batch_execute("ROLLBACK; BEGIN; UPDATE message_consumer_state SET paused_at = now() WHERE consumer = 'a'"))
        .unwrap();
    thread::sleep(Duration::from_millis(2_000));
    let mut bus = database.connect();
    let of_b = bus.stored_consumer("b", "orders").unwrap().unwrap();
    operator.batch_execute("ROLLBACK").unwrap();
    running.stop_within(Duration::from_secs(20)).unwrap();
    assert!(of_b.lease_expires_at.unwrap() > of_b.now, "{of_b:?}");
}

/// A burst of pages counts pages, and tells allocations? See the report; here: the label of the consumer.
#[test]
fn handler_durations_are_told_by_consumer() {
    use metrics_util::debugging::DebuggingRecorder;
    let recorder = DebuggingRecorder::new();
    let snapshots = recorder.snapshotter();
    let database = Memory::create();
    let mut bus = database.connect();
    place(&mut bus, 0..3);
    metrics::with_local_recorder(&recorder, || {
        for name in ["fast", "slow"] {
            MessageConsumer::<Orders>::external(name, |_: &Message<Orders>| Ok(()))
                .handle_new_messages(&mut bus)
                .unwrap();
        }
    });
    let of: Vec<_> = snapshots
        .snapshot()
        .into_vec()
        .into_iter()
        .filter(|(key, ..)| key.key().name() == "message_bus_handler_duration_seconds")
        .map(|(key, ..)| key.key().to_string())
        .collect();
    assert_eq!(of.len(), 2, "{of:?}");
}

/// What an idle consumer costs while others are nudged about another topic.
#[test]
fn an_idle_consumer_is_quiet_while_another_topic_is_busy() {
    use diesel::connection::InstrumentationEvent;
    use persisting_message_bus::diesel::postgres::Notifications;
    let database = Arc::new(Postgres::create());
    let statements = Arc::new(AtomicU64::new(0));
    let (of, counter) = (Arc::clone(&database), Arc::clone(&statements));
    let running = Runner::new(move || {
        let mut connection = of.connect();
        let counter = Arc::clone(&counter);
        connection.set_instrumentation(move |event: InstrumentationEvent<'_>| {
            if let InstrumentationEvent::StartQuery { .. } = event {
                counter.fetch_add(1, Ordering::Relaxed);
            }
        });
        Ok::<_, io::Error>(connection)
    })
    .consumer(MessageConsumer::<Orders>::external(
        "idle",
        |_: &Message<Orders>| Ok(()),
    ))
    .start();
    let plain = || diesel::PgConnection::establish("postgres://postgres@127.0.0.1:54329/postgres");
    let notifications = Notifications::on_channel("rev5b").unwrap();
    let _listener = notifications.listener(plain, running.nudge());
    let notifiers: Vec<_> = (0..3).map(|_| notifications.notifier(plain)).collect();
    thread::sleep(Duration::from_secs(1));
    statements.store(0, Ordering::Relaxed);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(3) {
        notifiers.iter().for_each(|notifier| notifier.notify());
        thread::sleep(Duration::from_millis(1));
    }
    let per_second = statements.load(Ordering::Relaxed) / 3;
    assert!(per_second < 20, "{per_second} statements a second");
}
