//! The examples, run as users run them.

use persisting_message_bus::operate::ConsumerKey;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::ops::ControlFlow;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;
#[cfg(feature = "http")]
use std::time::Instant;

#[cfg(feature = "http")]
use diesel::prelude::*;
use persisting_message_bus::Position;
use persisting_message_bus::backend::{
    MessageConsumerState, MessageSource, PageRequest, TypeFilter,
};
use persisting_message_bus_tests::databases::{Database, Sqlite, connect_sqlite};
#[cfg(all(feature = "postgres", feature = "mysql"))]
use persisting_message_bus_tests::databases::{Mariadb, Postgres, Server};
use persisting_message_bus_tests::seed;

const FLIGHTS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../tests/data/flights-2000.csv"
);

/// The numbers of flights, departures, arrivals and cancellations of each carrier.
type Counts = BTreeMap<String, [u64; 4]>;

#[test]
fn quickstart_resumes_in_its_second_run() {
    let folder = tempfile::tempdir().unwrap();
    let run = || {
        let output = Command::new(env!("CARGO_BIN_EXE_quickstart"))
            .current_dir(&folder)
            .output()
            .unwrap();
        text_of(output)
    };
    let first = run();
    let lines: Vec<_> = first.lines().collect();
    assert_eq!(
        lines,
        [
            "   1  order 1:   1250 cents",
            "   2  order 2:   9900 cents",
            "   4  order 2:  -9900 cents",
            "Caught up."
        ]
    );
    let second = run();
    let positions: Vec<_> = second
        .lines()
        .map(|line| line.trim_start().chars().next())
        .collect();
    assert_eq!(positions, [Some('5'), Some('6'), Some('8'), Some('C')]);
}

#[test]
fn worker_stops_on_request_and_continues_in_its_second_run() {
    let folder = tempfile::tempdir().unwrap();
    let mut last = 0;
    for _ in 0..2 {
        let mut worker = Command::new(env!("CARGO_BIN_EXE_worker"))
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(worker.stdout.take().unwrap()).lines();
        for line in (&mut lines).take(7).map(Result::unwrap) {
            let (position, order) = line.split_once("order").unwrap();
            let position = position.trim().parse::<u32>().unwrap();
            assert!(position > last, "{position} after {last}");
            last = position;
            assert_ne!(order.trim().parse::<u32>().unwrap() % 5, 0);
        }
        let terminated = Command::new("kill").arg(worker.id().to_string()).status();
        assert!(terminated.unwrap().success());
        let rest: Vec<_> = lines.map(Result::unwrap).collect();
        assert!(worker.wait().unwrap().success());
        for consumer in ["printer", "bookkeeper"] {
            assert!(rest.contains(&format!("{consumer} has ended")), "{rest:?}");
        }
    }
}

#[test]
fn worker_obeys_typed_commands() {
    let folder = tempfile::tempdir().unwrap();
    let mut worker = Command::new(env!("CARGO_BIN_EXE_worker"))
        .current_dir(&folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(worker.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let mut stdin = worker.stdin.take().unwrap();
    // When order 6 is printed, order 5 is parked.
    assert!(lines.any(|line| line.ends_with("order 6")));
    stdin.write_all(b"parked\nstatus\n").unwrap();
    assert!(lines.any(|line| line.contains("\"attempts\": 3")));
    assert!(lines.any(|line| line.contains("out of paper")));
    assert!(lines.any(|line| line.contains("\"parked_messages\": 1")));
    stdin.write_all(b"pause\nresume\nredrive\n").unwrap();
    assert!(lines.any(|line| line == "1"));
    stdin.write_all(b"quit\n").unwrap();
    assert!(lines.any(|line| line == "printer has ended"));
    assert!(worker.wait().unwrap().success());
}

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

    fn relayed<D: Server>() {
        let centre = D::create();
        outbox_relay_that_is_killed_carries_everything_once(&centre, &centre.url());
    }

    #[test]
    fn outbox_relay_to_postgres_that_is_killed_carries_everything_once() {
        relayed::<Postgres>();
    }

    #[test]
    fn outbox_relay_to_mariadb_that_is_killed_carries_everything_once() {
        relayed::<Mariadb>();
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

fn text_of(output: Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{:?}: {errors}", output.status);
    String::from_utf8(output.stdout).unwrap()
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

/// Returns the ids of messages with their number of occurrences.
#[cfg(feature = "http")]
fn ids(connection: &mut SqliteConnection, query: &str) -> BTreeMap<String, usize> {
    let mut ids = BTreeMap::new();
    let found = diesel::dsl::sql::<diesel::sql_types::Text>(query).load::<String>(connection);
    // The other process may not have created its tables yet.
    for id in found.unwrap_or_default() {
        *ids.entry(id).or_default() += 1;
    }
    ids
}

/// Returns the ids on the topic `sales` in the order of their positions, including duplicates.
fn message_ids(bus: &mut impl MessageSource) -> Vec<uuid::Uuid> {
    let mut ids = Vec::new();
    let request = PageRequest {
        topic: "sales",
        message_types: TypeFilter::All,
        after: Position::START,
        up_to: Position::new(i64::MAX),
        limit: usize::MAX,
    };
    bus.read_page(&request, &mut |message| {
        ids.push(message.message_id);
        ControlFlow::Continue(())
    })
    .unwrap();
    ids
}

#[cfg(feature = "http")]
#[test]
fn two_services_that_are_killed_lose_nothing_and_bill_once() {
    const ORDERS: usize = 200;
    let mut random = fastrand::Rng::with_seed(seed());
    let folder = tempfile::tempdir().unwrap();
    // The port is free again when this statement ends.
    let address = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .unwrap()
        .to_string();
    let start = |service| {
        Command::new(env!("CARGO_BIN_EXE_two_services"))
            .args([service, "--address", &address])
            .args(["--orders", &ORDERS.to_string()])
            .current_dir(&folder)
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    };
    let names = ["orders", "billing"];
    let mut services = names.map(start);
    for _ in 0..12 {
        thread::sleep(Duration::from_millis(random.u64(50..500)));
        let index = random.usize(..2);
        services[index].kill().unwrap();
        services[index].wait().unwrap();
        services[index] = start(names[index]);
    }
    let connect = |file: &str| connect_sqlite(folder.path().join(file).to_str().unwrap());
    let (mut orders, mut billing) = (connect("orders.db"), connect("billing.db"));
    let begun = Instant::now();
    let invoices = loop {
        let invoices = ids(&mut billing, "SELECT message_id FROM invoices");
        if invoices.len() == ORDERS {
            break invoices;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(120),
            "{} invoices",
            invoices.len()
        );
        thread::sleep(Duration::from_millis(20));
    };
    for mut service in services {
        service.kill().unwrap();
        service.wait().unwrap();
    }
    let placed = ids(&mut orders, "SELECT message_id FROM public_messages");
    assert_eq!(invoices, placed);
    assert!(invoices.values().all(|count| *count == 1));
}

#[test]
fn outbox_relay_to_sqlite_that_is_killed_carries_everything_once() {
    let centre = Sqlite::create();
    outbox_relay_that_is_killed_carries_everything_once(&centre, &centre.path());
}

fn outbox_relay_that_is_killed_carries_everything_once(centre: &impl Database, address: &str) {
    let mut random = fastrand::Rng::with_seed(seed());
    let folder = tempfile::tempdir().unwrap();
    let start = |sales: &str| {
        Command::new(env!("CARGO_BIN_EXE_outbox_relay"))
            .args(["--sales", sales, "--centre", address])
            .current_dir(&folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    };
    for _ in 0..6 {
        let mut relay = start("5000");
        thread::sleep(Duration::from_millis(random.u64(20..400)));
        relay.kill().unwrap();
        relay.wait().unwrap();
    }
    assert!(start("1").wait().unwrap().success());
    let till = folder.path().join("till.db");
    let sold = message_ids(&mut connect_sqlite(till.to_str().unwrap()));
    assert!(!sold.is_empty());
    assert_eq!(message_ids(&mut centre.connect()), sold);
}
