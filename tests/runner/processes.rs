//! Processes of the same consumer that are killed, or frozen and resumed.

use persisting_message_bus::operate::ConsumerKey;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use persisting_message_bus::backend::{MessageConsumerState, MessageRepository, MessageSource};
use persisting_message_bus::{Message, MessageConsumer};
use persisting_message_bus_tests::databases::{Database, Mariadb, Postgres, Server, Sqlite};
use persisting_message_bus_tests::topics::Payments;
use persisting_message_bus_tests::waiting::{wait_for, wait_until};

use super::place;
use super::worker::{LEASE, PAGE, Worker};

pub const MESSAGES: u64 = 2_000;

/// Publishes the messages and starts two workers.
fn two_on(bus: &mut impl MessageRepository, url: &str) -> [Worker; 2] {
    place(bus, 0..MESSAGES);
    [Worker::start(url), Worker::start(url)]
}

fn url_of_sqlite(database: &Sqlite) -> String {
    database.path()
}

/// Disturbs the active one of two workers. The other one must take over, and nothing must be lost.
pub fn assert_other_takes_over(
    bus: &mut (impl MessageSource + MessageConsumerState),
    workers: [Worker; 2],
    disturb: &[Signal],
) {
    let mut workers = Vec::from(workers);
    // The active worker is the one that reports handled messages.
    let at_work = wait_for("a worker handles a message", || {
        let at_work = |worker: &Worker| worker.handled.try_recv().is_ok();
        workers.iter().position(at_work).ok_or("none has")
    });
    if disturb != KILLED {
        // A process that is frozen in the middle of a transaction would keep its locks.
        wait_until("everything is paid", || {
            let status = bus
                .stored_consumer(ConsumerKey {
                    consumer: "payer",
                    topic: "orders",
                })
                .unwrap();
            status.and_then(|status| status.cursor) == Some(bus.current_head("orders").unwrap())
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
    // The last output of a killed worker may be lost.
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
        "more than one page was handled twice"
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
            "only {handled} orders are paid"
        );
        handled += consumer.handle_page(bus).unwrap();
    }
    drop(consumer);
    assert_eq!(paid, (0..MESSAGES).collect::<Vec<_>>(), "exactly once");
}

pub const KILLED: &[Signal] = &[Signal::SIGKILL];
const FROZEN: &[Signal] = &[Signal::SIGSTOP, Signal::SIGCONT];

macro_rules! workers_on {
    ($($backend:ident: $database:ident, $url:path;)*) => {$(
        mod $backend {
            use super::*;

            #[test]
            fn the_other_worker_takes_over_when_one_is_killed() {
                let database = $database::create();
                let mut bus = database.connect();
                let workers = two_on(&mut bus, &$url(&database));
                assert_other_takes_over(&mut bus, workers, KILLED);
            }

            #[test]
            fn a_frozen_holder_stores_nothing_when_it_resumes() {
                let database = $database::create();
                let mut bus = database.connect();
                let workers = two_on(&mut bus, &$url(&database));
                assert_other_takes_over(&mut bus, workers, FROZEN);
            }
        }
    )*};
}

workers_on! {
    sqlite: Sqlite, url_of_sqlite;
    postgres: Postgres, Server::url;
    mariadb: Mariadb, Server::url;
}
