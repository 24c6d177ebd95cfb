//! A consumer beside publishers that never pause.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Integer;
use persisting_message_bus::backend::{LeaseRequest, MessageConsumerState, MessageSource};
use persisting_message_bus::{Message, MessageConsumer};
use persisting_message_bus_tests::databases::{Database, Sqlite, connect_sqlite};
use persisting_message_bus_tests::statements::Log;
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};

use super::orders;

const COMMIT: Duration = Duration::from_millis(2);

/// Two publishers without a pause, until this is dropped.
struct Publishers {
    is_over: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<u64>>,
}

impl Publishers {
    fn start(path: &str) -> Self {
        let is_over = Arc::<AtomicBool>::default();
        let publish = |_| {
            let (path, is_over) = (path.to_owned(), Arc::clone(&is_over));
            thread::spawn(move || {
                let mut bus = connect_sqlite(&path);
                let mut published = 0;
                while !is_over.load(Ordering::SeqCst) {
                    let order = OrderPlaced::number(published);
                    let publish = |bus: &mut SqliteConnection| {
                        orders().dispatch(bus, &order)?;
                        // As a disk that takes so long for a commit.
                        thread::sleep(COMMIT);
                        Ok::<_, persisting_message_bus::Error>(())
                    };
                    bus.immediate_transaction(publish).unwrap();
                    published += 1;
                }
                published
            })
        };
        let threads = (0..2).map(publish).collect();
        Self { is_over, threads }
    }

    /// Stops them, and returns how many messages they have published.
    fn stop(self) -> u64 {
        self.is_over.store(true, Ordering::SeqCst);
        let threads = self.threads.into_iter();
        threads.map(|thread| thread.join().unwrap()).sum()
    }
}

/// Reads the busy timeout of a connection.
fn busy_timeout(connection: &mut SqliteConnection) -> i32 {
    sql::<Integer>("SELECT timeout FROM pragma_busy_timeout")
        .get_result(connection)
        .unwrap()
}

/// Takes turns of a consumer for some seconds, and returns how long each took, in order. There is
/// something to do in each.
fn turns(bus: &mut SqliteConnection, seconds: u64) -> Vec<Duration> {
    let handler = |_: &mut SqliteConnection, _: &Message<Orders>| Ok(());
    let mut consumer = MessageConsumer::<Orders>::transactional("all", handler);
    let (begun, mut turns) = (Instant::now(), Vec::new());
    while begun.elapsed() < Duration::from_secs(seconds) {
        // As a runner does before each poll.
        bus.change_token().unwrap();
        let turn = Instant::now();
        if consumer.handle_page(bus).unwrap() > 0 {
            turns.push(turn.elapsed());
        }
    }
    turns.sort_unstable();
    turns
}

/// SQLite's own wait takes a second and more in the median.
#[test]
fn publishers_that_never_pause_do_not_starve_a_consumer() {
    let database = Sqlite::create();
    let mut bus = database.connect();
    let publishers = Publishers::start(&database.path());
    let turns = turns(&mut bus, 5);
    let published = publishers.stop();
    let at = |percent: usize| turns.get(turns.len() * percent / 100).copied();
    let (p50, p99) = (at(50), at(99));
    eprintln!(
        "{} turns, p50 {p50:?}, p99 {p99:?}, {published} messages published",
        turns.len()
    );
    // Promised are 50 ms and 700 ms on an idle machine.
    assert!(p50.expect("a turn") < Duration::from_millis(300), "{p50:?}");
    assert!(p99.expect("a turn") < Duration::from_secs(3), "{p99:?}");
    assert_eq!(busy_timeout(&mut bus), 60_000);
}

/// Shows the connection that another one has committed, so that it expects to wait.
fn expect_others(bus: &mut SqliteConnection, other: &mut SqliteConnection) {
    bus.change_token().unwrap();
    orders().dispatch(other, &OrderPlaced::number(1)).unwrap();
    bus.change_token().unwrap();
}

fn request(owner: &str) -> LeaseRequest<'_> {
    LeaseRequest {
        consumer: "all",
        topic: "orders",
        segment: None,
        owner,
        duration: Duration::from_secs(60),
        identity: Default::default(),
        hands_out: false,
    }
}

#[test]
fn the_applications_busy_timeout_is_kept() {
    let database = Sqlite::create();
    let (mut bus, mut other) = (database.connect(), database.connect());
    expect_others(&mut bus, &mut other);
    for timeout in [0, 1, 50, 5_000] {
        bus.batch_execute(&format!("PRAGMA busy_timeout = {timeout}"))
            .unwrap();
        let lease = bus.acquire(&request("one")).unwrap();
        assert_eq!(busy_timeout(&mut bus), timeout);
        // Also after a failure: the lock is not given back in time.
        if timeout <= 50 {
            other.batch_execute("BEGIN IMMEDIATE").unwrap();
            let begun = Instant::now();
            let error = bus.renew(&lease, Duration::from_secs(60)).unwrap_err();
            assert!(error.is_retryable(), "{error:?}");
            assert!(begun.elapsed() >= Duration::from_millis(timeout as u64));
            other.batch_execute("ROLLBACK").unwrap();
        }
        assert_eq!(busy_timeout(&mut bus), timeout);
        bus.release(&lease).unwrap();
    }
}

#[test]
fn a_consumer_without_other_writers_runs_no_further_statement() {
    // A thread of its own has no memory of other writers. On a busy machine, a write can take so long
    // that it counts as a wait for another writer.
    let quick: Vec<_> = (0..20)
        .map(|_| thread::spawn(statements_of_two_writes).join().unwrap())
        .filter(|(_, took)| *took < Duration::from_millis(100))
        .collect();
    assert!(!quick.is_empty(), "all writes took long");
    for (statements, took) in quick {
        let waits = statements.iter().filter(|sql| sql.contains("busy_timeout"));
        assert_eq!(waits.count(), 0, "{took:?}: {statements:#?}");
    }
}

/// Returns the statements of a thread's second write, and how long its longest write took.
fn statements_of_two_writes() -> (Vec<String>, Duration) {
    let database = Sqlite::create();
    let mut bus = database.connect();
    orders()
        .dispatch(&mut bus, &OrderPlaced::number(1))
        .unwrap();
    let mut longest = Duration::ZERO;
    let mut write = |bus: &mut SqliteConnection| {
        let begun = Instant::now();
        let lease = bus.acquire(&request("one")).unwrap();
        bus.release(&lease).unwrap();
        longest = longest.max(begun.elapsed());
    };
    // The first write of a thread can meet writers of which it does not know.
    write(&mut bus);
    let log = Log::default();
    log.watch(&mut bus);
    bus.change_token().unwrap();
    write(&mut bus);
    (log.statements(), longest)
}

/// A handler finds the timeout that the application has set.
#[test]
fn a_handler_has_the_applications_busy_timeout() {
    let database = Sqlite::create();
    let (mut bus, mut other) = (database.connect(), database.connect());
    expect_others(&mut bus, &mut other);
    let mut seen = Vec::new();
    let handler = |bus: &mut SqliteConnection, _: &Message<Orders>| {
        seen.push(busy_timeout(bus));
        Ok(())
    };
    let mut consumer = MessageConsumer::<Orders>::transactional("all", handler);
    consumer.handle_new_messages(&mut bus).unwrap();
    drop(consumer);
    assert_eq!(seen, [60_000]);
}
