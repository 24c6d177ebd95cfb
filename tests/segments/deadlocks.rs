//! Threads and processes that work on the segments run into no deadlocks.

use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use diesel::Connection;
use diesel::connection::{Instrumentation, InstrumentationEvent, SimpleConnection};
use diesel::sql_types::Text;
use diesel::{RunQueryDsl, dsl};
use persisting_message_bus::backend::{MessageConsumerState, MessageRepository, MessageSource};
use persisting_message_bus::operate::RunHandle;
use persisting_message_bus::sql::StatementWatch;
use persisting_message_bus::{Message, MessageConsumer, ParallelConsumer, Runner};
use persisting_message_bus_tests::databases::{Database, Mariadb};
use persisting_message_bus_tests::waiting::wait_until;

use super::handling::place;
use super::running::has_ended_well;
use super::sql::effects;
use super::topic::Orders;
use super::{connector, division};

const SEGMENTS: u16 = 64;

/// The number of segments after a change.
const FEWER: u16 = 48;

const THREADS: usize = 8;

const TELLER: &str = "teller";
const PAYER: &str = "payer";

/// How many messages are published at once.
const BATCH: u64 = 50;

/// How many more messages each consumer of each runner handles at least.
const MORE: u64 = 100;

/// How often a session was the victim of a deadlock. All sessions of the test's database count in it, and
/// each deadlock has a victim, which gets an error. The server's own number is that of all databases.
#[derive(Debug, Clone, Default)]
struct Deadlocks(Arc<AtomicUsize>);

impl Deadlocks {
    fn number(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Instrumentation for Deadlocks {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        if let InstrumentationEvent::FinishQuery {
            error: Some(error), ..
        } = event
            && error.to_string().to_lowercase().contains("deadlock")
        {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Consumers at work: each runner has an external handler and a transactional one.
struct Work<B> {
    bus: B,
    messages: u64,
    /// The messages that each consumer of each runner has handled.
    handled: [Handled; 2],
}

type Handled = Arc<[AtomicU64; 2]>;

pub fn threads_and_changes_of_segments_run_into_no_deadlock<D>()
where
    D: Database<Bus: Connection> + Send + 'static,
{
    let (_database, connect) = connector::<D>();
    let deadlocks = Deadlocks::default();
    let watching = deadlocks.clone();
    let connect = move || {
        let mut bus = connect();
        bus.set_instrumentation(StatementWatch::around(watching.clone()));
        bus
    };
    let mut bus = connect();
    bus.batch_execute("CREATE TABLE effects (order_number bigint, number bigint)")
        .unwrap();
    let mut work = Work {
        bus,
        messages: 0,
        handled: Default::default(),
    };
    // At first, both runners divide the consumers.
    let running = work.handled.each_ref();
    let running = running.map(|handled| start::<D>(connect.clone(), handled));
    work.go_on();
    work.resize();
    work.go_on();
    for running in running {
        running.caught_up_within(Duration::from_secs(60)).unwrap();
        has_ended_well(running);
    }
    assert_eq!(deadlocks.number(), 0);
    provoke([connect(), connect()]);
    assert_eq!(deadlocks.number(), 1, "deadlocks are counted");
}

impl<B: MessageRepository + MessageSource + MessageConsumerState> Work<B> {
    fn numbers(&self) -> [[u64; 2]; 2] {
        let numbers = self.handled.each_ref();
        numbers.map(|it| it.each_ref().map(|it| it.load(Ordering::SeqCst)))
    }

    fn handled_by_each(&self) -> [u64; 2] {
        let [first, second] = self.numbers();
        [first[0] + second[0], first[1] + second[1]]
    }

    /// Publishes messages, unless many wait.
    fn publish(&mut self) {
        let [told, paid] = self.handled_by_each();
        if self.messages < told.min(paid) + 4 * BATCH {
            place(&mut self.bus, self.messages..self.messages + BATCH);
            self.messages += BATCH;
        }
    }

    /// Publishes messages until each consumer of each runner has handled more.
    fn go_on(&mut self) {
        let before = self.numbers();
        wait_until("all consumers have handled messages", || {
            self.publish();
            let pairs = self.numbers().into_iter().zip(before);
            let mut pairs = pairs.flat_map(|(now, before)| now.into_iter().zip(before));
            pairs.all(|(now, before)| now >= before + MORE)
        });
    }

    /// Replaces the segments of both consumers while messages come.
    fn resize(&mut self) {
        let make = |name: &'static str| {
            move || MessageConsumer::<Orders>::external(name, |_: &Message<Orders>| Ok(()))
        };
        let bus = &mut self.bus;
        let mut teller = ParallelConsumer::by_key(make(TELLER));
        assert!(teller.resize(bus, FEWER).unwrap());
        let mut payer = ParallelConsumer::unordered(make(PAYER));
        assert!(payer.resize(bus, FEWER).unwrap());
        wait_until("the segments are replaced", || {
            self.publish();
            let mut divisions = [TELLER, PAYER].into_iter();
            divisions.all(|it| division(&mut self.bus, it).is_some_and(|it| it.segments == FEWER))
        });
    }
}

/// Starts a runner with both kinds of handlers.
fn start<D>(connect: impl Fn() -> D::Bus + Send + Sync + 'static, handled: &Handled) -> RunHandle
where
    D: Database<Bus: Connection>,
{
    let (told, paid) = (Arc::clone(handled), Arc::clone(handled));
    let teller = move || {
        let told = Arc::clone(&told);
        MessageConsumer::<Orders>::external(TELLER, move |_: &Message<Orders>| {
            told[0].fetch_add(1, Ordering::SeqCst);
            Ok(())
        })
        .page_size(10)
        .time_slice(Duration::from_millis(20))
    };
    let payer = move || {
        let paid = Arc::clone(&paid);
        let pay = move |bus: &mut D::Bus, message: &Message<Orders>| {
            let Orders::Step(step) = message.payload();
            effects(bus, [(step.order, step.number)])?;
            paid[1].fetch_add(1, Ordering::SeqCst);
            Ok(())
        };
        MessageConsumer::<Orders>::transactional(PAYER, pay)
            .page_size(10)
            .time_slice(Duration::from_millis(20))
    };
    Runner::new(move || Ok::<_, io::Error>(connect()))
        .idle_interval(Duration::from_millis(20))
        .parallel(
            ParallelConsumer::by_key(teller)
                .segments(SEGMENTS)
                .threads(THREADS),
        )
        .parallel(
            ParallelConsumer::unordered(payer)
                .segments(SEGMENTS)
                .threads(THREADS),
        )
        .start()
}

/// Sessions of MariaDB have the isolation level in which its locks are the widest.
#[test]
fn mariadb_has_its_default_isolation_level() {
    let mut bus = Mariadb::create().connect();
    let level = dsl::sql::<Text>("SELECT @@tx_isolation").get_result::<String>(&mut bus);
    assert_eq!(level.unwrap(), "REPEATABLE-READ");
}

/// Lets two sessions wait for each other's segment.
fn provoke(sessions: [impl Connection; 2]) {
    let barrier = Barrier::new(2);
    let barrier = &barrier;
    thread::scope(|scope| {
        for (own, mut session) in sessions.into_iter().enumerate() {
            scope.spawn(move || {
                let lock = |number: usize| {
                    let segment = format!("{TELLER}/{number} of {}", FEWER);
                    format!(
                        "UPDATE message_consumer_segments SET paused_at = NULL
                        WHERE segment = '{segment}' AND topic = 'orders'"
                    )
                };
                session.batch_execute("BEGIN").unwrap();
                session.batch_execute(&lock(own)).unwrap();
                barrier.wait();
                // One of them is the victim.
                let _may_fail = session.batch_execute(&lock(1 - own));
                session.batch_execute("ROLLBACK").unwrap();
            });
        }
    });
}
