//! Publishers and consumers at random.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use persisting_message_bus::backend::TransactionControl;
use persisting_message_bus::{
    Error, EventSet, Message, MessageConsumer, MessageDispatcher, Position,
};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::topics::{OrderPlaced, Orders, Paid, Payments};
use persisting_message_bus_tests::{seed, soak_time};

use super::{pay, place};

const PUBLISHERS: u64 = 8;

/// Messages by topic and number.
type Numbers = BTreeSet<(&'static str, u64)>;

pub fn everything_committed_is_delivered_in_order<D: Database>() {
    let time = soak_time(3);
    let seed = seed();
    let database = D::create();
    let ended = AtomicBool::new(false);
    let (committed, delivered) = thread::scope(|scope| {
        let (database, ended) = (&database, &ended);
        let publishers: Vec<_> = (0..PUBLISHERS)
            .map(|number| {
                let random = fastrand::Rng::with_seed(seed.wrapping_add(number));
                scope.spawn(move || publish::<D>(database, number, random, time))
            })
            .collect();
        let consumers = [
            scope.spawn(|| consume::<D, Orders>(database, "one by one", 1, ended)),
            scope.spawn(|| consume::<D, Orders>(database, "pages", 500, ended)),
            scope.spawn(|| consume::<D, Payments>(database, "payments", 50, ended)),
            scope.spawn(|| consume::<D, Both>(database, "both", 7, ended)),
        ];
        let publishers = publishers.into_iter();
        let committed: Numbers = publishers.flat_map(|one| one.join().unwrap()).collect();
        ended.store(true, Ordering::Release);
        (committed, consumers.map(|one| one.join().unwrap()))
    });
    println!("{} messages committed", committed.len());
    assert!(committed.len() > 100);
    let of_topic = |topic| {
        committed
            .iter()
            .filter(|(of, _)| *of == topic)
            .copied()
            .collect()
    };
    let expected: [Numbers; 4] = [
        of_topic("orders"),
        of_topic("orders"),
        of_topic("payments"),
        committed.clone(),
    ];
    for (delivered, expected) in delivered.iter().zip(expected) {
        let lost: Vec<_> = expected.difference(delivered).collect();
        assert!(lost.is_empty(), "{} lost: {lost:?}", lost.len());
        assert_eq!(*delivered, expected, "a rolled-back message was delivered");
    }
}

/// The messages that the soak publishes, on both topics.
#[derive(EventSet)]
#[event_set(topic = Orders)]
enum Both {
    OrderPlaced(OrderPlaced),
    #[event_set(topic = Payments)]
    Paid(Paid),
}

trait Number {
    fn number(&self) -> u64;
}

impl Number for Orders {
    fn number(&self) -> u64 {
        self.order()
    }
}

impl Number for Payments {
    fn number(&self) -> u64 {
        let Self::Paid(paid) = self;
        paid.order
    }
}

impl Number for Both {
    fn number(&self) -> u64 {
        match self {
            Self::OrderPlaced(placed) => placed.order,
            Self::Paid(paid) => paid.order,
        }
    }
}

enum End {
    RolledBack,
    Failed(Error),
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Publishes for some time, and returns the messages that it committed.
fn publish<D: Database>(
    database: &D,
    publisher: u64,
    mut random: fastrand::Rng,
    time: Duration,
) -> Vec<(&'static str, u64)> {
    let mut bus = database.connect();
    let mut next = publisher * 1_000_000_000;
    let mut committed = Vec::new();
    let begun = Instant::now();
    while begun.elapsed() < time {
        if random.bool() {
            committed.push(alone::<D>(&mut bus, &mut random, &mut next));
            continue;
        }
        let mut written = Vec::new();
        let ended = bus.in_transaction(|bus| {
            for _ in 0..random.u8(1..4) {
                part::<D>(bus, &mut random, &mut next, &mut written)?;
                pause(&mut random);
            }
            match random.u8(0..5) {
                0 => Err(End::RolledBack),
                _ => Ok(()),
            }
        });
        match ended {
            Ok(()) => committed.append(&mut written),
            Err(End::RolledBack) => {}
            Err(End::Failed(error)) => assert!(error.is_retryable(), "{error:?}"),
        }
        pause(&mut random);
    }
    committed
}

/// Publishes a message in its own transaction.
fn alone<D: Database>(
    bus: &mut D::Bus,
    random: &mut fastrand::Rng,
    next: &mut u64,
) -> (&'static str, u64) {
    let number = *next;
    *next += 1;
    loop {
        let topic = *random.choice(&["orders", "payments"]).expect("a topic");
        let placed = match topic {
            "orders" => place(bus, number),
            _ => pay(bus, number),
        };
        match placed {
            Ok(()) => return (topic, number),
            Err(error) => assert!(error.is_retryable(), "{error:?}"),
        }
    }
}

/// Publishes a batch on one of the topics, sometimes in a savepoint that may be rolled back.
fn part<D: Database>(
    bus: &mut D::Bus,
    random: &mut fastrand::Rng,
    next: &mut u64,
    written: &mut Vec<(&'static str, u64)>,
) -> Result<(), End> {
    let numbers = *next..*next + random.u64(1..20);
    *next = numbers.end;
    let topic = *random.choice(&["orders", "payments"]).expect("a topic");
    let batch = |bus: &mut D::Bus| match topic {
        "orders" => MessageDispatcher::<Orders>::new()
            .dispatch_batch(bus, numbers.clone().map(OrderPlaced::number)),
        _ => MessageDispatcher::<Payments>::new()
            .dispatch_batch(bus, numbers.clone().map(|order| Paid { order })),
    };
    let kept = match random.u8(0..4) {
        0 => bus.in_transaction(|bus| {
            batch(bus)?;
            Err(End::RolledBack)
        }),
        1 => bus.in_transaction(|bus| Ok(batch(bus)?)),
        _ => batch(bus).map_err(End::from),
    };
    match kept {
        Ok(_) => written.extend(numbers.map(|number| (topic, number))),
        Err(End::RolledBack) => {}
        Err(failed) => return Err(failed),
    }
    Ok(())
}

/// Pauses at random, so that each run interleaves the threads in another way.
fn pause(random: &mut fastrand::Rng) {
    if random.u8(0..4) == 0 {
        thread::sleep(Duration::from_micros(random.u64(0..10_000)));
    }
}

/// Consumes until everything that was committed before the end is handled. Checks that each message
/// comes once, and in order.
fn consume<D: Database, S: EventSet + Number>(
    database: &D,
    name: &str,
    page_size: usize,
    ended: &AtomicBool,
) -> Numbers {
    let mut bus = database.connect();
    let mut delivered = Numbers::new();
    let mut last = Position::START;
    let mut consumer = MessageConsumer::<S>::external(name, |message: &Message<S>| {
        assert!(message.position() > last, "out of order");
        last = message.position();
        let topic = if message.topic() == "orders" {
            "orders"
        } else {
            "payments"
        };
        assert!(
            delivered.insert((topic, message.payload().number())),
            "delivered twice"
        );
        Ok(())
    })
    .page_size(page_size);
    loop {
        let was_ended = ended.load(Ordering::Acquire);
        let handled = consumer.handle_page(&mut bus).expect("a page");
        if handled == 0 && was_ended {
            break;
        }
    }
    drop(consumer);
    delivered
}
