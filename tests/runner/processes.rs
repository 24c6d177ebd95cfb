//! Processes of the same consumer that are killed, or stopped and continued.
//!
//! This program starts itself again as a process with a runner: see `worker`.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use std::{env, io, thread};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use persisting_message_bus::{
    Message, MessageConsumer, MessageConsumerState, MessageDispatcher, MessageSource, Runner,
    TransactionsOn,
};
use persisting_message_bus_tests::databases::{
    Database, Mariadb, Postgres, Server, Sqlite, connect_sqlite,
};
use persisting_message_bus_tests::topics::{Orders, Paid, Payments};

use super::{place, wait_until};

const DATABASE: &str = "WORKER_DATABASE";
const LEASE: Duration = Duration::from_millis(1_500);
const PAGE: usize = 20;
const MESSAGES: u64 = 2_000;

/// The body of a worker, when the environment makes this process one; it passes otherwise.
#[test]
fn worker() {
    let Ok(url) = env::var(DATABASE) else {
        return;
    };
    if url.starts_with("postgres:") {
        work(move || Postgres::connect_to(&url));
    } else if url.starts_with("mysql:") {
        work(move || Mariadb::connect_to(&url));
    } else {
        work(move || connect_sqlite(&url));
    }
}

/// Says what it handles, and pays for it exactly once in the other consumer.
fn work<B>(connect: impl Fn() -> B + Send + Sync + 'static)
where
    B: MessageSource
        + MessageConsumerState
        + persisting_message_bus::MessageRepository
        + TransactionsOn<B>
        + 'static,
{
    let teller = MessageConsumer::<Orders>::external("teller", |message: &Message<Orders>| {
        println!("\nhandled {}", message.payload().order());
        io::stdout().flush()?;
        thread::sleep(Duration::from_millis(2));
        Ok(())
    });
    let payer = MessageConsumer::<Orders>::transactional(
        "payer",
        |bus: &mut B, message: &Message<Orders>| {
            let order = message.payload().order();
            MessageDispatcher::<Payments>::new().dispatch(bus, &Paid { order })?;
            Ok(())
        },
    );
    let running = Runner::new(move || Ok::<_, io::Error>(connect()))
        .idle_interval(Duration::from_millis(50))
        .consumer(teller.page_size(PAGE).lease_duration(LEASE))
        .consumer(payer.page_size(PAGE).lease_duration(LEASE))
        .start();
    // Until its parent ends.
    io::stdin().lines().for_each(drop);
    drop(running);
}

/// A worker, and what it says.
struct Worker {
    process: Child,
    handled: Receiver<u64>,
}

impl Worker {
    fn start(url: &str) -> Self {
        let mut process = Command::new(env::current_exe().unwrap())
            .args(["processes::worker", "--exact", "--nocapture"])
            .env(DATABASE, url)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let (sender, handled) = channel();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Some(order) = line.strip_prefix("handled ") {
                    let _ended = sender.send(order.parse().unwrap());
                }
            }
        });
        Self { process, handled }
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.process.id().cast_signed()), signal).unwrap();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn url_of_sqlite(database: &Sqlite) -> String {
    database.path()
}

/// Two workers of which the one at work is disturbed; the other one goes on, and nothing is lost.
fn others_go_on<D: Database>(database: &D, url: &str, disturb: &[Signal]) {
    let mut bus = database.connect();
    place(&mut bus, 0..MESSAGES);
    let mut workers = vec![Worker::start(url), Worker::start(url)];
    // Which one is at work shows by what it says.
    let at_work = loop {
        let found = workers.iter().position(|worker| {
            worker
                .handled
                .recv_timeout(Duration::from_millis(20))
                .is_ok()
        });
        if let Some(found) = found {
            break found;
        }
    };
    if disturb != KILLED {
        // Whoever is frozen in the middle of a transaction keeps its locks.
        wait_until("everything is paid", || {
            let status = bus.stored_consumer("payer", "orders").unwrap();
            status.and_then(|status| status.cursor) == Some(bus.safe_head("orders").unwrap())
        });
    }
    let disturbed = workers.remove(at_work);
    let other = workers.remove(0);
    let mut seen: Vec<u64> = disturbed.handled.try_iter().collect();
    let stopped = Instant::now();
    disturbed.signal(disturb[0]);
    let first = other.handled.recv_timeout(Duration::from_secs(60)).unwrap();
    let waited = stopped.elapsed();
    assert!(waited < LEASE + Duration::from_secs(10), "{waited:?}");
    seen.push(first);
    for signal in &disturb[1..] {
        disturbed.signal(*signal);
    }
    // What the killed one said last may be lost.
    let mut all: BTreeSet<u64> = seen.iter().copied().collect();
    wait_until("everything is handled", || {
        let handled: Vec<u64> = other
            .handled
            .try_iter()
            .chain(disturbed.handled.try_iter())
            .collect();
        all.extend(&handled);
        seen.extend(handled);
        (first..MESSAGES).all(|order| all.contains(&order))
    });
    assert!(
        seen.len() - all.len() <= PAGE,
        "more than a page came twice"
    );

    let mut paid = Vec::new();
    let mut consumer = MessageConsumer::<Payments>::external("all", |message: &Message<_>| {
        let Payments::Paid(payment) = message.payload();
        paid.push(payment.order);
        Ok(())
    });
    let begun = Instant::now();
    let mut handled = 0;
    while handled < MESSAGES as usize {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "{handled} are paid"
        );
        handled += consumer.handle_new_messages(&mut bus).unwrap();
    }
    drop(consumer);
    assert_eq!(paid, (0..MESSAGES).collect::<Vec<_>>(), "exactly once");
}

const KILLED: &[Signal] = &[Signal::SIGKILL];
const FROZEN: &[Signal] = &[Signal::SIGSTOP, Signal::SIGCONT];

macro_rules! workers_on {
    ($($backend:ident: $database:ident, $url:path;)*) => {$(
        mod $backend {
            use super::*;

            #[test]
            fn the_other_one_goes_on_when_one_is_killed() {
                let database = $database::create();
                others_go_on(&database, &$url(&database), KILLED);
            }

            #[test]
            fn a_holder_that_wakes_up_late_stores_nothing() {
                let database = $database::create();
                others_go_on(&database, &$url(&database), FROZEN);
            }
        }
    )*};
}

workers_on! {
    sqlite: Sqlite, url_of_sqlite;
    postgres: Postgres, Server::url;
    mariadb: Mariadb, Server::url;
}
