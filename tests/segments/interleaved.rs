//! Publishers that begin and commit between any two statements of a consumer that is divided by key.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use diesel::connection::{InstrumentationEvent, SimpleConnection};
use diesel::{Connection, SqliteConnection};
use persisting_message_bus::backend::{
    DividedBy, Division, MessageConsumerState, MessageRepository, MessageSource,
    TransactionControlOn,
};
use persisting_message_bus::handler::PageHandler;
use persisting_message_bus::{
    Error, Message, MessageConsumer, MessageDispatcher, ParallelConsumer,
};
use persisting_message_bus_tests::databases::{Database, Server, Sqlite};
use persisting_message_bus_tests::overtaking::Overtaking;

use super::has_order;
use super::topic::{Orders, Step};

const SEGMENTS: u16 = 2;

/// How many statements later the slow publisher commits.
const LATER: [u32; 4] = [0, 1, 3, 9];

/// A consumer with fewer statements would show that its statements are not seen.
const AT_LEAST: u32 = 12;

/// The numbers of the messages of each order, as they were handled.
type Seen = Arc<Mutex<BTreeMap<u64, Vec<u64>>>>;

fn note(seen: &Seen, message: &Message<Orders>) {
    let Orders::Step(Step { order, number }) = *message.payload();
    seen.lock().unwrap().entry(order).or_default().push(number);
}

/// Returns an order of each segment.
fn orders() -> Vec<u64> {
    let division = Division::new(DividedBy::Key, SEGMENTS);
    let order_of = |part| (0..).find(|order| has_order(part, *order)).unwrap();
    division.all("all").map(|it| order_of(it.part)).collect()
}

/// Publishes a message of this number for each order.
fn place(bus: &mut impl MessageRepository, number: u64) -> Result<(), Error> {
    let steps = orders().into_iter().map(|order| Step { order, number });
    MessageDispatcher::<Orders>::new()
        .dispatch_batch(bus, steps)
        .map(drop)
}

/// Handles what is new, and adds nothing else.
fn read<B, H>(consumer: &mut ParallelConsumer<Orders, H>, bus: &mut B)
where
    B: MessageSource + MessageConsumerState,
    H: PageHandler<Orders, B>,
{
    consumer.handle_new_messages(bus).unwrap();
}

/// Checks that each order's messages were handled once and in their order, and forgets them.
fn check(seen: &Seen, numbers: &[u64], when: &str) {
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    let expected: BTreeMap<_, _> = orders()
        .into_iter()
        .map(|it| (it, numbers.to_vec()))
        .collect();
    assert_eq!(seen, expected, "{when}");
}

fn lose_nothing<D: Server, H: PageHandler<Orders, D::Plain>>(
    seen: &Seen,
    mut consumer: ParallelConsumer<Orders, H>,
) {
    let database = D::create();
    let mut bus = database.connect();
    place(&mut bus, 0).unwrap();
    read(&mut consumer, &mut bus);
    check(seen, &[0], "at first");
    let publishers = [(); 2].map(|()| database.connect());
    let overtaking = Overtaking::between_statements_of(&mut bus, publishers, |bus, number| {
        place(bus, number).unwrap();
    });
    for comes in 1.. {
        for goes in LATER.map(|later| comes + later) {
            let ((), ran) = overtaking.during(comes, goes, || read(&mut consumer, &mut bus));
            read(&mut consumer, &mut bus);
            check(seen, &[1, 2, 3], &format!("from {comes} to {goes}"));
            if ran < comes {
                assert!(comes > AT_LEAST, "only {ran} statements");
                return;
            }
        }
    }
}

/// Returns a consumer with a transactional handler that notes the messages.
fn transactional<C: TransactionControlOn<C> + MessageConsumerState + 'static>(
    seen: &Seen,
) -> ParallelConsumer<Orders, impl PageHandler<Orders, C> + use<C>> {
    let noted = Arc::clone(seen);
    let make = move || {
        let noted = Arc::clone(&noted);
        let handler = move |_: &mut C, message: &Message<Orders>| {
            note(&noted, message);
            Ok(())
        };
        MessageConsumer::<Orders>::transactional("all", handler)
    };
    ParallelConsumer::by_key(make).segments(SEGMENTS)
}

pub fn publishers_between_the_statements_of_segments_lose_nothing<D: Server>() {
    let seen = Seen::default();
    let noted = Arc::clone(&seen);
    let make = move || {
        let noted = Arc::clone(&noted);
        MessageConsumer::<Orders>::external("all", move |message: &Message<Orders>| {
            note(&noted, message);
            Ok(())
        })
    };
    lose_nothing::<D, _>(&seen, ParallelConsumer::by_key(make).segments(SEGMENTS));
}

pub fn publishers_between_the_statements_of_transactional_segments_lose_nothing<D: Server>() {
    let seen = Seen::default();
    lose_nothing::<D, _>(&seen, transactional(&seen));
}

/// SQLite has one writer at a time. So a publisher that meets a transaction of the consumer commits after
/// a later statement.
#[test]
fn publishers_between_the_statements_of_segments_lose_nothing_on_sqlite() {
    let database = Sqlite::create();
    let (mut bus, mut publisher) = (database.connect(), database.connect());
    publisher.batch_execute("PRAGMA busy_timeout = 0").unwrap();
    let seen = Seen::default();
    let mut consumer = transactional::<SqliteConnection>(&seen);
    place(&mut publisher, 0).unwrap();
    read(&mut consumer, &mut bus);
    check(&seen, &[0], "at first");
    // The statements that the consumer has still to run before the publisher comes, and those that it
    // has run.
    let plan = Arc::new(Mutex::new((0_u32, 0_u32)));
    let publisher = Arc::new(Mutex::new(publisher));
    let (watched, publishes) = (Arc::clone(&plan), Arc::clone(&publisher));
    bus.set_instrumentation(move |event: InstrumentationEvent<'_>| {
        let InstrumentationEvent::FinishQuery { .. } = event else {
            return;
        };
        let mut plan = watched.lock().unwrap();
        plan.1 += 1;
        plan.0 = match plan.0 {
            1 => match place(&mut *publishes.lock().unwrap(), 2) {
                Ok(()) => 0,
                Err(error) => {
                    assert!(error.is_retryable(), "{error:#}");
                    1
                }
            },
            left => left.saturating_sub(1),
        };
    });
    for comes in 1.. {
        place(&mut *publisher.lock().unwrap(), 1).unwrap();
        *plan.lock().unwrap() = (comes, 0);
        read(&mut consumer, &mut bus);
        let (left, ran) = std::mem::take(&mut *plan.lock().unwrap());
        if left > 0 {
            place(&mut *publisher.lock().unwrap(), 2).unwrap();
        }
        read(&mut consumer, &mut bus);
        check(&seen, &[1, 2], &format!("after statement {comes}"));
        if left > 1 {
            assert!(comes > AT_LEAST, "only {ran} statements");
            return;
        }
    }
}
