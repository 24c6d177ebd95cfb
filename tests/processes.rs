//! Publishers in other processes on one SQLite file. Some of them are killed.
//!
//! This program starts itself again as a publisher process: see `publisher`.

use std::collections::BTreeSet;
use std::env;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use persisting_message_bus::backend::TransactionControl;
use persisting_message_bus::{Error, Message, MessageConsumer, MessageDispatcher};
use persisting_message_bus_tests::databases::{Database, Sqlite, connect_sqlite};
use persisting_message_bus_tests::seed;
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};

const FILE: &str = "PUBLISHER_FILE";
const NUMBER: &str = "PUBLISHER_NUMBER";
const ROUNDS: &str = "PUBLISHER_ROUNDS";

/// The body of a publisher, if the environment variable is set. Passes otherwise.
///
/// It publishes batches, rolls some back, and prints the numbers of the committed messages.
#[test]
fn publisher() {
    let Ok(file) = env::var(FILE) else {
        return;
    };
    let setting = |name| env::var(name).unwrap().parse::<u64>().unwrap();
    let (number, rounds) = (setting(NUMBER), setting(ROUNDS));
    let orders = MessageDispatcher::<Orders>::new();
    let mut connection = connect_sqlite(&file);
    for round in 0..rounds {
        let first = number * 1_000_000_000 + round * 100;
        let numbers = first..first + 1 + round % 70;
        let result = connection.in_transaction(|connection| {
            orders.dispatch_batch(connection, numbers.clone().map(OrderPlaced::number))?;
            match round % 3 {
                2 => Err(RollBack),
                _ => Ok(()),
            }
        });
        if result.is_ok() {
            let mut output = std::io::stdout().lock();
            writeln!(output, "\ncommitted {} {}", numbers.start, numbers.end).unwrap();
            output.flush().unwrap();
        }
    }
}

struct RollBack;

impl From<Error> for RollBack {
    fn from(error: Error) -> Self {
        panic!("{error:?}");
    }
}

fn start_publisher(database: &Sqlite, number: u64, rounds: u64) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["publisher", "--exact", "--nocapture", "--test-threads=1"])
        .env(FILE, database.path())
        .env(NUMBER, number.to_string())
        .env(ROUNDS, rounds.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Reads the numbers that a publisher reports as committed, until it ends.
fn committed(publisher: &mut Child) -> BTreeSet<u64> {
    let lines = BufReader::new(publisher.stdout.take().unwrap()).lines();
    let mut committed = BTreeSet::new();
    for line in lines {
        let line = line.unwrap();
        let words: Vec<_> = line.split(' ').collect();
        if let ["committed", first, end] = words[..] {
            committed.extend(first.parse::<u64>().unwrap()..end.parse().unwrap());
        }
    }
    committed
}

/// Handles new messages, and checks their order.
fn consume(database: &Sqlite, delivered: &mut Vec<u64>) {
    let mut last = None;
    let mut consumer = MessageConsumer::<Orders>::external("all", |message: &Message<Orders>| {
        assert!(last < Some(message.position()));
        last = Some(message.position());
        delivered.push(message.payload().order());
        Ok(())
    });
    let mut connection = database.connect();
    while consumer.handle_page(&mut connection).unwrap() > 0 {}
}

#[test]
fn messages_committed_by_processes_are_delivered_once() {
    let database = Sqlite::create();
    let mut delivered = Vec::new();
    let mut publishers: Vec<_> = (1..=4)
        .map(|number| start_publisher(&database, number, 60))
        .collect();
    let committed: BTreeSet<u64> = thread::scope(|scope| {
        let readers: Vec<_> = publishers
            .iter_mut()
            .map(|publisher| scope.spawn(|| committed(publisher)))
            .collect();
        while !readers.iter().all(thread::ScopedJoinHandle::is_finished) {
            consume(&database, &mut delivered);
        }
        readers
            .into_iter()
            .flat_map(|reader| reader.join().unwrap())
            .collect()
    });
    consume(&database, &mut delivered);
    for mut publisher in publishers {
        assert!(publisher.wait().unwrap().success());
    }
    let once: BTreeSet<u64> = delivered.iter().copied().collect();
    assert_eq!(delivered.len(), once.len(), "nothing comes twice");
    assert_eq!(once, committed);
    assert_eq!(
        committed.len(),
        4 * (0..60)
            .filter(|round| round % 3 < 2)
            .map(|round| 1 + round % 70)
            .sum::<usize>()
    );
}

#[test]
fn messages_committed_by_a_killed_process_are_delivered() {
    let mut random = fastrand::Rng::with_seed(seed());
    let database = Sqlite::create();
    let mut delivered = Vec::new();
    let mut said = BTreeSet::new();
    for number in 1..=8 {
        // The publisher would run for minutes.
        let mut publisher = start_publisher(&database, number, 1_000_000);
        // The kill hits a random moment.
        let pause = Duration::from_millis(random.u64(20..200));
        thread::sleep(pause);
        publisher.kill().unwrap();
        publisher.wait().unwrap();
        said.extend(committed(&mut publisher));
        consume(&database, &mut delivered);
    }
    let once: BTreeSet<u64> = delivered.iter().copied().collect();
    assert_eq!(delivered.len(), once.len(), "nothing comes twice");
    // A killed process may not have reported its last commit.
    assert!(once.is_superset(&said));
    assert!(!said.is_empty());
    for round in once.iter().map(|order| order / 100 % 10_000_000) {
        assert_ne!(round % 3, 2, "a message of a rolled back round");
    }
}
