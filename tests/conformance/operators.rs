//! Operators that redrive and discard messages of working consumers.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use persisting_message_bus::operate::{ConsumerKey, MessageFailures, ParkedSelector};
use persisting_message_bus::{Error, FailurePolicy, Message, MessageConsumer, Position};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::seed;
use persisting_message_bus_tests::topics::{OrderShipped, Orders, Paid};

use super::failing::{after, place};
use super::redriving::pay;
use super::{orders, stored};

/// Returns the value, or a default after a retryable error or a lost lease. Panics on any other
/// error.
fn check<T: Default>(result: Result<T, Error>) -> T {
    result.unwrap_or_else(|error| {
        assert!(error.is_retryable() || error.is_lease_lost(), "{error:?}");
        T::default()
    })
}

/// Returns the number of changed messages: none if the one message is not parked.
fn check_parked(result: Result<u64, Error>) -> u64 {
    check(match result {
        Err(error) if error.is_not_parked() => Ok(0),
        result => result,
    })
}

/// A consumer fails on the first message of three, or parks it. `redrive` and `discard` of a message
/// that is not parked state the reason, and change nothing.
pub fn a_message_that_is_not_parked_is_named_with_its_state<D: Database>() {
    let (_database, mut bus) = place::<D>(1..4);
    let of_all = ConsumerKey {
        consumer: "all",
        topic: "orders",
    };
    let at = |position| ParkedSelector::At(Position::new(position));
    let refused = |bus: &mut D::Bus, position, parts: [&str; 2]| {
        let redriven = bus.redrive(of_all, at(position)).unwrap_err();
        let discarded = bus.discard(of_all, at(position)).unwrap_err();
        for error in [redriven, discarded] {
            assert!(error.is_not_parked() && !error.is_retryable(), "{error:?}");
            assert_eq!(error.consumer(), Some("all"));
            assert_eq!(error.topic(), Some("orders"));
            assert_eq!(error.position(), Some(Position::new(position)));
            let text = error.to_string();
            assert!(parts.iter().all(|part| text.contains(part)), "{text}");
        }
    };
    let run = |bus: &mut D::Bus, attempts, then| {
        let fails = |message: &Message<Orders>| match message.payload().order() {
            1 => Err("no stock".into()),
            _ => Ok(()),
        };
        let consumer = MessageConsumer::<Orders>::external("all", fails);
        let _failed = consumer.retry(after(attempts, then)).handle_page(bus);
    };
    refused(
        &mut bus,
        1,
        ["no consumer of this name", "check both names"],
    );
    run(&mut bus, 3, FailurePolicy::Stop);
    refused(&mut bus, 1, ["fails on it and attempts it again", "reset"]);
    refused(&mut bus, 2, ["has not reached it", "handles it after"]);
    run(&mut bus, 2, FailurePolicy::Stop);
    refused(&mut bus, 1, ["has stopped before it", "StartAt::Position"]);
    run(&mut bus, 2, FailurePolicy::Park);
    assert_eq!(bus.redrive(of_all, at(1)).unwrap(), 1);
    refused(&mut bus, 1, ["already redriven", "at its next poll"]);
    let mut consumer = MessageConsumer::<Orders>::external("all", |_: &Message<Orders>| Ok(()));
    while consumer.handle_page(&mut bus).unwrap() > 0 {}
    for position in 1..=3 {
        refused(&mut bus, position, ["has passed it", "reset the consumer"]);
    }
    refused(&mut bus, 99, ["has not reached it", "nothing was changed"]);
    // No message is named here, and none is parked.
    assert_eq!(bus.redrive(of_all, ParkedSelector::All).unwrap(), 0);
    assert_eq!(bus.discard(of_all, ParkedSelector::OfType("x")).unwrap(), 0);
}

/// Two consumers park at random, three operators redrive and two discard, all at the same time.
/// Each order must be paid once, parked or discarded.
pub fn every_order_is_settled_once_while_operators_redrive_and_discard<D: Database>() {
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
            ParkedSelector::All,
            ParkedSelector::OfType("OrderPlaced"),
            ParkedSelector::At(Position::new(33)),
        ] {
            let (database, ended) = (&database, &ended);
            scope.spawn(move || {
                let mut bus = database.connect();
                while !ended.load(SeqCst) {
                    check_parked(bus.redrive(
                        ConsumerKey {
                            consumer: "all",
                            topic: "orders",
                        },
                        which,
                    ));
                    // A pause, so that the operator acts at random moments of the consumers' work.
                    thread::sleep(Duration::from_millis(3));
                }
            });
        }
        for which in [
            ParkedSelector::OfType("OrderShipped"),
            ParkedSelector::At(Position::new(100)),
        ] {
            let (database, ended, discarded) = (&database, &ended, &discarded);
            scope.spawn(move || {
                let mut bus = database.connect();
                while !ended.load(SeqCst) {
                    let count = check_parked(bus.discard(
                        ConsumerKey {
                            consumer: "all",
                            topic: "orders",
                        },
                        which,
                    ));
                    discarded.fetch_add(count, SeqCst);
                    // A pause, as above.
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
                let mut consumer = consumer.page_size(20).retry(after(1, FailurePolicy::Park));
                let begun = Instant::now();
                while begun.elapsed() < Duration::from_secs(2) {
                    check(consumer.handle_page(&mut bus));
                }
            })
        });
        for consumer in consumers {
            consumer.join().unwrap();
        }
        ended.store(true, SeqCst);
    });
    let mut consumer = MessageConsumer::<Orders>::transactional("all", pay::<D::Bus>);
    while consumer.handle_page(&mut bus).unwrap() > 0 {}

    let messages = stored(&mut bus, "payments");
    let paid = messages
        .iter()
        .map(|(_, raw)| serde_json::from_str::<Paid>(&raw.payload).unwrap().order);
    assert_eq!(
        paid.collect::<BTreeSet<_>>().len(),
        messages.len(),
        "paid twice"
    );
    let parked = bus
        .count_parked(ConsumerKey {
            consumer: "all",
            topic: "orders",
        })
        .unwrap();
    let all = messages.len() as u64 + parked + discarded.load(SeqCst);
    assert_eq!(all, 300);
}
