//! Programs, publishers and a consumer at random.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use persisting_message_bus::backend::TransactionControl;
use persisting_message_bus_tests::seed;

use crate::{COLUMNS, Guarded, Reader, both_schemas, values};

/// How long each half of the soak runs.
const TIME: Duration = Duration::from_millis(1_500);

pub fn programs_and_publishers_at_random_lose_nothing<D: Guarded>() {
    let seed = seed();
    for schema in both_schemas() {
        let database = D::create_guarded();
        let ended = AtomicBool::new(false);
        let (committed, seen) = thread::scope(|scope| {
            let (database, ended, schema) = (&database, &ended, &schema);
            let publishers: Vec<_> = (0..6)
                .map(|number| {
                    let random = fastrand::Rng::with_seed(seed.wrapping_add(number));
                    scope.spawn(move || publish::<D>(database, schema, number, random))
                })
                .collect();
            let reader = scope.spawn(move || {
                let mut reader = Reader::on(database, schema.clone());
                let mut seen = Vec::new();
                while !ended.load(Ordering::Acquire) {
                    seen.extend(reader.read());
                }
                seen.extend(reader.read());
                seen
            });
            let publishers: Vec<_> = publishers.into_iter().map(|one| one.join()).collect();
            ended.store(true, Ordering::Release);
            let publishers = publishers.into_iter();
            let committed: BTreeSet<u64> = publishers.flat_map(Result::unwrap).collect();
            (committed, reader.join().unwrap())
        });
        let seen_once: BTreeSet<_> = seen.iter().copied().collect();
        let lost: Vec<_> = committed.difference(&seen_once).collect();
        println!("{} messages committed", committed.len());
        assert!(committed.len() > 50);
        assert!(
            lost.is_empty(),
            "{} of {}: {lost:?}",
            lost.len(),
            committed.len()
        );
        assert_eq!(
            seen.len(),
            committed.len(),
            "handled twice, or never committed"
        );
    }
}

/// Publishes for some time, as this library or as another program, and returns the orders that it
/// committed. Each second publisher is another program.
fn publish<D: Guarded>(
    database: &D,
    schema: &persisting_message_bus::sql::TableSchema,
    publisher: u64,
    mut random: fastrand::Rng,
) -> Vec<u64> {
    let mut connection = database.connect();
    let mut committed = Vec::new();
    let mut next = publisher * 1_000_000;
    let begun = Instant::now();
    while begun.elapsed() < TIME {
        let count = random.u64(1..4);
        let orders = next..next + count;
        next += count;
        let in_transaction = random.bool();
        if in_transaction {
            TransactionControl::begin(&mut connection).unwrap();
        }
        let published = if publisher.is_multiple_of(2) {
            D::place(schema, &mut connection, orders.clone()).map_err(|error| format!("{error:#}"))
        } else {
            let rows: Vec<_> = orders.clone().map(values).collect();
            let insert = format!(
                "INSERT INTO public_messages {COLUMNS} VALUES {}",
                rows.join(", ")
            );
            let inserted = connection.batch_execute(&insert);
            inserted.map_err(|error| error.to_string())
        };
        // The moment of the commit is random.
        thread::sleep(Duration::from_micros(random.u64(0..4_000)));
        let is_committed = published.is_ok() && (!in_transaction || random.u8(0..4) > 0);
        if in_transaction {
            if is_committed {
                TransactionControl::commit(&mut connection).unwrap();
            } else {
                TransactionControl::rollback(&mut connection).unwrap();
            }
        }
        if is_committed {
            committed.extend(orders);
        } else if let Err(error) = published {
            assert!(error.contains("eadlock"), "{error}");
        }
    }
    committed
}
