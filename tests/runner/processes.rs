//! Processes of the same consumer that are killed, or stopped and continued.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use persisting_message_bus::{
    Message, MessageConsumer, MessageConsumerState, MessageRepository, MessageSource,
};
use persisting_message_bus_tests::databases::{Database, Mariadb, Postgres, Server, Sqlite};
use persisting_message_bus_tests::topics::Payments;

use super::worker::{LEASE, PAGE, Worker};
use super::{place, wait_until};

pub const MESSAGES: u64 = 2_000;

/// Two workers, and what they have to do.
fn two_on(bus: &mut impl MessageRepository, url: &str) -> [Worker; 2] {
    place(bus, 0..MESSAGES);
    [Worker::start(url), Worker::start(url)]
}

fn url_of_sqlite(database: &Sqlite) -> String {
    database.path()
}

/// Two workers of which the one at work is disturbed; the other one goes on, and nothing is lost.
pub fn others_go_on(
    bus: &mut (impl MessageSource + MessageConsumerState),
    workers: [Worker; 2],
    disturb: &[Signal],
) {
    let mut workers = Vec::from(workers);
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
        handled += consumer.handle_new_messages(bus).unwrap();
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
            fn the_other_one_goes_on_when_one_is_killed() {
                let database = $database::create();
                let mut bus = database.connect();
                let workers = two_on(&mut bus, &$url(&database));
                others_go_on(&mut bus, workers, KILLED);
            }

            #[test]
            fn a_holder_that_wakes_up_late_stores_nothing() {
                let database = $database::create();
                let mut bus = database.connect();
                let workers = two_on(&mut bus, &$url(&database));
                others_go_on(&mut bus, workers, FROZEN);
            }
        }
    )*};
}

workers_on! {
    sqlite: Sqlite, url_of_sqlite;
    postgres: Postgres, Server::url;
    mariadb: Mariadb, Server::url;
}
