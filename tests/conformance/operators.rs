//! People who look after consumers that are at work.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use persisting_message_bus::{
    Error, GiveUp, Message, MessageConsumer, MessageFailures, Parked, Position,
};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::seed;
use persisting_message_bus_tests::topics::{OrderShipped, Orders, Paid};

use super::failing::{after, place};
use super::redriving::pay;
use super::{orders, stored};

/// Others may be in the way; nothing else may go wrong.
fn check<T: Default>(result: Result<T, Error>) -> T {
    result.unwrap_or_else(|error| {
        assert!(error.is_retryable() || error.is_lease_lost(), "{error:?}");
        T::default()
    })
}

/// Two consumers park by chance, three people redrive and two discard, all at once: each order is paid
/// once, parked or discarded.
pub fn operators_and_consumers_at_once<D: Database>() {
    let mut random = fastrand::Rng::with_seed(seed());
    let (database, mut bus) = place::<D>(1..201);
    for order in 201..301 {
        orders()
            .dispatch(&mut bus, &OrderShipped { order })
            .unwrap();
    }
    let (ended, discarded) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        for which in [
            Parked::All,
            Parked::OfType("OrderPlaced"),
            Parked::At(Position::new(33)),
        ] {
            let (database, ended) = (&database, &ended);
            scope.spawn(move || {
                let mut bus = database.connect();
                while !ended.load(SeqCst) {
                    check(bus.redrive("all", "orders", which));
                    thread::sleep(Duration::from_millis(3));
                }
            });
        }
        for which in [
            Parked::OfType("OrderShipped"),
            Parked::At(Position::new(100)),
        ] {
            let (database, ended, discarded) = (&database, &ended, &discarded);
            scope.spawn(move || {
                let mut bus = database.connect();
                while !ended.load(SeqCst) {
                    let count = check(bus.discard("all", "orders", which));
                    discarded.fetch_add(count, SeqCst);
                    thread::sleep(Duration::from_millis(7));
                }
            });
        }
        let consumers = [random.fork(), random.fork()].map(|mut random| {
            let database = &database;
            scope.spawn(move || {
                let mut bus = database.connect();
                let by_chance = move |bus: &mut D::Bus, message: &Message<Orders>| {
                    pay(bus, message)?;
                    match random.u32(..3) {
                        0 => Err("by chance".into()),
                        _ => Ok(()),
                    }
                };
                let consumer = MessageConsumer::<Orders>::transactional("all", by_chance);
                let mut consumer = consumer.page_size(20).retry(after(1, GiveUp::Park));
                let begun = Instant::now();
                while begun.elapsed() < Duration::from_secs(2) {
                    check(consumer.handle_new_messages(&mut bus));
                }
            })
        });
        for consumer in consumers {
            consumer.join().unwrap();
        }
        ended.store(true, SeqCst);
    });
    let mut consumer = MessageConsumer::<Orders>::transactional("all", pay::<D::Bus>);
    while consumer.handle_new_messages(&mut bus).unwrap() > 0 {}

    let messages = stored(&mut bus, "payments");
    let paid = messages
        .iter()
        .map(|(_, raw)| serde_json::from_str::<Paid>(&raw.payload).unwrap().order);
    assert_eq!(paid.collect::<BTreeSet<_>>().len(), messages.len(), "twice");
    let parked = bus.count_parked("all", "orders").unwrap();
    let all = messages.len() as u64 + parked + discarded.load(SeqCst);
    assert_eq!(all, 300);
}
