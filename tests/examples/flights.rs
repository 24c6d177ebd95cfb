//! `flights` prints the same table, however often it is killed.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use persisting_message_bus::Position;
use persisting_message_bus::backend::{MessageConsumerState, MessageSource};
use persisting_message_bus::operate::ConsumerKey;
use persisting_message_bus_tests::databases::{Database, Sqlite};
#[cfg(all(feature = "postgres", feature = "mysql"))]
use persisting_message_bus_tests::databases::{Mariadb, Postgres, Server};
use persisting_message_bus_tests::seed;

use super::text_of;

const FLIGHTS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../tests/data/flights-2000.csv"
);

/// The numbers of flights, departures, arrivals and cancellations of each carrier.
type Counts = BTreeMap<String, [u64; 4]>;

fn flights_counts_what_the_file_has(url: &str) {
    let table = text_of(flights(url).output().unwrap());
    assert_eq!(counts_in_table(&table), counts_in_file());
}

/// Kills the example at several moments of its progress. `undisturbed` is another database, on
/// which it runs without interruption.
fn flights_killed_ends_with_the_same_table<D: Database>(
    database: &D,
    url: &str,
    undisturbed: &D,
    undisturbed_url: &str,
) {
    let mut random = fastrand::Rng::with_seed(seed());
    let expected = text_of(flights(undisturbed_url).output().unwrap());
    assert_eq!(counts_in_table(&expected), counts_in_file());
    let all = progress(&mut undisturbed.connect());

    let mut observer = database.connect();
    let mut moments: Vec<i64> = (0..10).map(|_| random.i64(0..all)).collect();
    moments.sort_unstable();
    let mut killed = 0;
    for moment in moments {
        let mut run = flights(url).stdout(Stdio::null()).spawn().unwrap();
        while progress(&mut observer) < moment && run.try_wait().unwrap().is_none() {}
        // The kill hits a random moment of the next transaction.
        thread::sleep(Duration::from_micros(random.u64(0..3_000)));
        run.kill().unwrap();
        let ended = run.wait_with_output().unwrap();
        let was_killed = ended.status.code().is_none();
        if !was_killed {
            text_of(ended);
        }
        killed += usize::from(was_killed);
    }
    assert!(
        killed > 4,
        "most runs came to their end before they were killed"
    );
    let end = text_of(flights(url).output().unwrap());
    assert_eq!(end, expected, "after {killed} kills");
}

mod sqlite {
    use super::*;

    #[test]
    fn flights_counts_what_the_file_has() {
        super::flights_counts_what_the_file_has(&Sqlite::create().path());
    }

    #[test]
    fn flights_killed_at_any_moment_ends_with_the_same_table() {
        let [one, other] = [(); 2].map(|()| Sqlite::create());
        flights_killed_ends_with_the_same_table(&one, &one.path(), &other, &other.path());
    }
}

#[cfg(all(feature = "postgres", feature = "mysql"))]
mod servers {
    use super::*;

    fn counts<D: Server>() {
        flights_counts_what_the_file_has(&D::create().url());
    }

    fn killed<D: Server>() {
        let [one, other] = [(); 2].map(|()| D::create());
        flights_killed_ends_with_the_same_table(&one, &one.url(), &other, &other.url());
    }

    #[test]
    fn flights_on_postgres_counts_what_the_file_has() {
        counts::<Postgres>();
    }

    #[test]
    fn flights_on_postgres_killed_at_any_moment_ends_with_the_same_table() {
        killed::<Postgres>();
    }

    #[test]
    fn flights_on_mariadb_counts_what_the_file_has() {
        counts::<Mariadb>();
    }

    #[test]
    fn flights_on_mariadb_killed_at_any_moment_ends_with_the_same_table() {
        killed::<Mariadb>();
    }
}

/// Returns the sum of the progress of the publisher and the consumers.
fn progress<B: MessageSource + MessageConsumerState>(bus: &mut B) -> i64 {
    let published = bus.last_position().map_or(0, Position::get);
    let cursors = ["carrier-delays", "cancellations"].map(|consumer| {
        let status = bus
            .stored_consumer(ConsumerKey {
                consumer,
                topic: "flights",
            })
            .ok()
            .flatten();
        let cursor = status.and_then(|status| status.cursor);
        cursor.map_or(0, Position::get)
    });
    published + cursors.iter().sum::<i64>()
}

/// Uses small transactions, so that there are many moments between them.
fn flights(url: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flights"));
    command
        .arg(FLIGHTS)
        .args(["--database-url", url])
        .args(["--batch", "20", "--page", "50", "--lease", "0.1"])
        .stderr(Stdio::piped());
    command
}

fn counts_in_table(table: &str) -> Counts {
    let rows = table.lines().filter(|line| line.starts_with('│')).skip(1);
    let words = rows.map(|row| row.trim_matches('│').split_whitespace().collect::<Vec<_>>());
    words
        .map(|row| {
            let count = |index: usize| row[index].parse().unwrap();
            let counts = [
                count(1),
                count(2),
                count(row.len() - 4),
                count(row.len() - 1),
            ];
            (row[0].to_owned(), counts)
        })
        .collect()
}

fn counts_in_file() -> Counts {
    let file = std::fs::read_to_string(FLIGHTS).unwrap();
    let mut counts = Counts::new();
    for line in file.lines().skip(1) {
        let fields: Vec<_> = line.split(',').collect();
        let happened = |index: usize| u64::from(!["", "NA"].contains(&fields[index]));
        let (departed, arrived) = (happened(3), happened(6));
        for carrier in [fields[9], "all"] {
            let row = counts.entry(carrier.to_owned()).or_default();
            for (sum, count) in row.iter_mut().zip([1, departed, arrived, 1 - departed]) {
                *sum += count;
            }
        }
    }
    counts
}
