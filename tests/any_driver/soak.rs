//! Clients, publishers and a consumer at random.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use persisting_message_bus_tests::{seed, soak_time};

use crate::beside::{Beside, begin, dispatch, with_topic};
use crate::clients::Client;
use crate::reader::Reader;

const LEVELS: [&str; 3] = ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"];

pub fn everything_committed_by_any_client_is_read_once<D: Beside>() {
    let seed = seed();
    let database = with_topic::<D>();
    let clients = database.clients().into_iter().chain(database.clients());
    let ended = AtomicBool::new(false);
    let (committed, seen) = thread::scope(|scope| {
        let (database, ended) = (&database, &ended);
        let clients: Vec<_> = clients
            .zip(1..)
            .map(|(client, number)| {
                let random = fastrand::Rng::with_seed(seed.wrapping_add(number));
                scope.spawn(move || publish::<D>(client, number, random))
            })
            .collect();
        let publisher = scope.spawn(move || {
            let mut orders = Vec::new();
            let mut connection = database.connect();
            while !ended.load(Ordering::Acquire) {
                let order = u64::try_from(orders.len()).unwrap();
                dispatch(&mut connection, order);
                orders.push(order);
            }
            orders
        });
        let reader = scope.spawn(move || {
            let mut reader = Reader::new(database.connect());
            let mut seen = Vec::new();
            while !ended.load(Ordering::Acquire) {
                seen.extend(reader.read());
            }
            (seen, reader)
        });
        let committed: Vec<_> = clients.into_iter().map(|one| one.join()).collect();
        ended.store(true, Ordering::Release);
        let of_library = publisher.join().unwrap();
        let (mut seen, mut reader) = reader.join().unwrap();
        seen.extend(reader.read());
        let committed: Vec<u64> = committed.into_iter().flat_map(Result::unwrap).collect();
        println!(
            "{} of clients, {} of the library",
            committed.len(),
            of_library.len()
        );
        assert!(committed.len() > 50 && of_library.len() > 50);
        ([committed, of_library].concat(), seen)
    });
    let seen_once: BTreeSet<_> = seen.iter().copied().collect();
    let all: BTreeSet<_> = committed.into_iter().collect();
    let lost: Vec<_> = all.difference(&seen_once).collect();
    assert!(lost.is_empty(), "{} of {}: {lost:?}", lost.len(), all.len());
    assert_eq!(seen.len(), all.len(), "handled twice, or never committed");
}

/// Publishes for some time, and returns the orders that it committed.
fn publish<D: Beside>(
    mut client: Box<dyn Client>,
    number: u64,
    mut random: fastrand::Rng,
) -> Vec<u64> {
    let mut committed = Vec::new();
    let mut next = number * 1_000_000;
    let begun = Instant::now();
    while begun.elapsed() < soak_time(3) {
        let in_transaction = random.bool();
        if in_transaction {
            begin::<D>(client.as_mut(), random.choice(LEVELS).unwrap());
        }
        let count = if in_transaction { random.u64(1..4) } else { 1 };
        let orders = next..next + count;
        next += count;
        let published = orders.clone().try_for_each(|order| client.publish(order));
        if !in_transaction {
            published.unwrap_or_else(|error| panic!("{}: {error}", client.name()));
            committed.extend(orders);
            continue;
        }
        // The moment of the commit is random.
        thread::sleep(Duration::from_micros(random.u64(0..4_000)));
        let ended = match published {
            Ok(()) if random.u8(0..4) > 0 => client.execute("COMMIT").map(|()| true),
            Ok(()) => client.execute("ROLLBACK").map(|()| false),
            Err(error) => Err(error),
        };
        match ended {
            Ok(true) => committed.extend(orders),
            Ok(false) => {}
            Err(error) => {
                let is_expected = error.contains("eadlock") || error.contains("serialize");
                assert!(is_expected, "{}: {error}", client.name());
                client.execute("ROLLBACK").unwrap();
            }
        }
    }
    committed
}
