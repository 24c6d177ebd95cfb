use std::cell::RefCell;
use std::time::Duration;

use chrono::Utc;
use persisting_message_bus::backend::{MessageConsumerState, MessageRepository};
use persisting_message_bus::handler::HandlerError;
use persisting_message_bus::operate::{
    ConsumerKey, FailedMessage, FailedMessagesRequest, FailureState, MessageFailures,
};
use persisting_message_bus::{
    Error, FailurePolicy, Message, MessageConsumer, MessageDispatcher, Position, RetryPolicy,
    StartAt,
};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::topics::{
    Ledger, OrderPlaced, OrderShipped, Orders, Paid, Payments, Tripwire, Tripwires,
};

use super::consuming::raw;
use super::leases::steal;
use super::{TestBus, consume, orders};

pub fn place<D: Database>(numbers: std::ops::Range<u64>) -> (D, D::Bus) {
    let database = D::create();
    let mut bus = database.connect();
    let batch = numbers.map(OrderPlaced::number);
    orders().dispatch_batch(&mut bus, batch).unwrap();
    (database, bus)
}

/// Returns a retry policy without a delay between attempts.
pub fn after(attempts: u32, then: FailurePolicy) -> RetryPolicy {
    let at_once = RetryPolicy::default().initial_delay(Duration::ZERO);
    at_once.max_attempts(attempts).on_exhausted(then)
}

pub fn failed(bus: &mut impl TestBus, consumer: &str, state: FailureState) -> Vec<FailedMessage> {
    let page = FailedMessagesRequest {
        consumer,
        topic: "orders",
        state,
        slots: None,
        after: Position::START,
        limit: 100,
    };
    bus.failed_messages(&page).unwrap()
}

/// Handles pages until the consumer has caught up, also after failures. Returns the orders that the
/// handler accepted.
fn handle_all<B: TestBus>(
    bus: &mut B,
    retry: RetryPolicy,
    refuses: impl Fn(u64) -> bool,
) -> Vec<u64> {
    let handled = RefCell::new(Vec::new());
    let mut consumer = MessageConsumer::<Orders>::external("all", |message: &Message<Orders>| {
        let order = message.payload().order();
        if refuses(order) {
            return Err("no stock".into());
        }
        handled.borrow_mut().push(order);
        Ok(())
    })
    .retry(retry)
    .unknown_timeout(Duration::ZERO)
    .page_size(3);
    for _ in 0..20 {
        match consumer.handle_page(bus) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) => assert!(error.is_handler_failure(), "{error:?}"),
        }
    }
    drop(consumer);
    handled.into_inner()
}

pub fn attempts_outlast_the_process<D: Database>() {
    let (database, _bus) = place::<D>(1..4);
    for attempt in 1..4 {
        let mut bus = database.connect();
        let mut consumer = MessageConsumer::<Orders>::external("all", |message: &Message<_>| {
            let message: &Message<Orders> = message;
            match message.payload().order() {
                2 => Err("no stock".into()),
                _ => Ok(()),
            }
        })
        .retry(after(8, FailurePolicy::Stop));
        let error = consumer.handle_page(&mut bus).unwrap_err();
        assert_eq!(error.attempts(), Some(attempt), "{error:?}");
        let text = error.to_string();
        let attempts = format!("failed attempts: {attempt} (limit 8)");
        assert!(text.ends_with(&attempts), "{text}");
    }
}

pub fn a_message_handled_on_retry_leaves_no_failure<D: Database>() {
    let (_database, mut bus) = place::<D>(1..6);
    let mut failures = 0;
    let mut consumer = MessageConsumer::<Orders>::external("all", |message: &Message<Orders>| {
        let order = message.payload().order();
        failures += 1;
        match (order, failures) {
            (1, ..3) | (4, _) => Err("no stock".into()),
            _ => Ok(()),
        }
    });
    for attempts in [1, 2] {
        let error = consumer.handle_page(&mut bus).unwrap_err();
        assert_eq!((error.position(), error.attempts()), at(1, attempts));
    }
    let error = consumer.handle_page(&mut bus).unwrap_err();
    assert_eq!((error.position(), error.attempts()), at(4, 1));
    assert_eq!(failed(&mut bus, "all", FailureState::Failing).len(), 1);
}

/// Returns a transient error, as a handler meets it on its bus.
fn deadlock() -> HandlerError {
    Error::transient("booking", "deadlock").into()
}

pub fn transient_errors_do_not_count_as_attempts<D: Database>() {
    let (_database, mut bus) = place::<D>(1..4);
    let deadlocks = RefCell::new(5);
    let hindered = || {
        let mut left = deadlocks.borrow_mut();
        *left -= i32::from(*left > 0);
        if *left > 0 { Err(deadlock()) } else { Ok(()) }
    };
    let each = |_: &mut D::Bus, _: &Message<Orders>| hindered();
    let pages = |_: &mut D::Bus, _: &[Message<Orders>]| hindered();
    let park = || after(1, FailurePolicy::Park);
    let mut each = MessageConsumer::<Orders>::transactional("each", each).retry(park());
    let mut pages = MessageConsumer::<Orders>::transactional_pages("pages", pages).retry(park());
    for _ in 1..5 {
        let error = each.handle_page(&mut bus).unwrap_err();
        assert!(
            error.is_retryable() && !error.is_handler_failure(),
            "{error:?}"
        );
        assert_eq!(error.attempts(), None);
    }
    assert_eq!(each.handle_page(&mut bus).unwrap(), 3);
    *deadlocks.borrow_mut() = 2;
    pages.handle_page(&mut bus).unwrap_err();
    assert_eq!(pages.handle_new_messages(&mut bus).unwrap(), 3);
    for consumer in ["each", "pages"] {
        assert_eq!(
            bus.count_failed(
                ConsumerKey {
                    consumer,
                    topic: "orders"
                },
                FailureState::Failing
            )
            .unwrap(),
            0
        );
    }
}

fn at(position: i64, attempts: u32) -> (Option<Position>, Option<u32>) {
    (Some(Position::new(position)), Some(attempts))
}

pub fn a_poison_message_stops_the_consumer_before_it<D: Database>() {
    let (_database, mut bus) = place::<D>(1..6);
    let handled = handle_all(&mut bus, after(3, FailurePolicy::Stop), |order| order == 3);
    assert_eq!(handled, [1, 2]);
    let stopped = failed(&mut bus, "all", FailureState::Stopped);
    assert_eq!(stopped[0].position, Position::new(3));
    // A stopped message cannot be redriven.
    assert_eq!(
        bus.count_parked(ConsumerKey {
            consumer: "all",
            topic: "orders"
        })
        .unwrap(),
        0
    );
    assert_eq!(consume(&mut bus, "all"), [3, 4, 5]);
}

pub fn a_poison_message_is_parked_and_others_are_handled<D: Database>() {
    let (_database, mut bus) = place::<D>(1..6);
    let begun = Utc::now();
    let handled = handle_all(&mut bus, after(3, FailurePolicy::Park), |order| order == 3);
    assert_eq!(handled, [1, 2, 4, 5]);
    let parked = failed(&mut bus, "all", FailureState::Parked);
    let [message] = &parked[..] else {
        panic!("{parked:?}");
    };
    assert_eq!((message.position.get(), message.attempts), (3, 3));
    assert_eq!(message.message_type.as_deref(), Some("OrderPlaced"));
    let stored = super::stored(&mut bus, "orders");
    assert_eq!(message.message_id, Some(stored[2].1.message_id));
    assert!(message.error.ends_with(": no stock"), "{}", message.error);
    assert!(message.first_failed_at <= message.last_failed_at);
    // The clock of the database differs from ours.
    let age = message.first_failed_at - begun;
    assert!(age.abs() < chrono::TimeDelta::minutes(1), "{age}");
    assert!(consume(&mut bus, "all").is_empty());
}

pub fn a_poison_message_is_skipped_and_counted<D: Database>() {
    let (_database, mut bus) = place::<D>(1..6);
    let mut attempts = 0;
    let mut consumer = MessageConsumer::<Orders>::external("all", |message: &Message<Orders>| {
        if message.payload().order() == 3 {
            attempts += 1;
            return Err("no stock".into());
        }
        Ok(())
    })
    .retry(after(2, FailurePolicy::Skip));
    consumer.handle_page(&mut bus).unwrap_err();
    while consumer.handle_page(&mut bus).unwrap() > 0 {}
    assert_eq!(consumer.skipped_messages(), 1);
    drop(consumer);
    assert_eq!(attempts, 2);
    for state in [FailureState::Failing, FailureState::Parked] {
        assert!(failed(&mut bus, "all", state).is_empty());
    }
}

pub fn effects_of_the_others_happen_once_when_one_is_parked<D: Database>() {
    let (_database, mut bus) = place::<D>(1..8);
    let payments = MessageDispatcher::<Payments>::new();
    let pay = |bus: &mut D::Bus, order| -> Result<(), HandlerError> {
        payments.dispatch(bus, &Paid { order })?;
        match order {
            3 | 4 => Err("no money".into()),
            _ => Ok(()),
        }
    };
    let one_by_one = |bus: &mut D::Bus, message: &Message<Orders>| -> Result<(), HandlerError> {
        pay(bus, message.payload().order())
    };
    let mut each = MessageConsumer::<Orders>::transactional("each", one_by_one)
        .retry(after(2, FailurePolicy::Park));
    let mut pages = MessageConsumer::<Orders>::transactional_pages(
        "pages",
        |bus: &mut D::Bus, messages: &[Message<Orders>]| {
            let mut orders = messages.iter().map(|message| message.payload().order());
            orders.try_for_each(|order| pay(bus, 100 + order).and_then(|()| pay(bus, order)))
        },
    )
    .retry(after(1, FailurePolicy::Park));
    for _ in 0..10 {
        drop(each.handle_page(&mut bus));
        drop(pages.handle_page(&mut bus));
    }
    let mut paid: Vec<_> = super::stored(&mut bus, "payments")
        .into_iter()
        .map(|(_, raw)| serde_json::from_str::<Paid>(&raw.payload).unwrap().order)
        .collect();
    paid.sort_unstable();
    let good = [1, 2, 5, 6, 7];
    let twice = good.iter().flat_map(|order| [*order, *order]);
    let expected: Vec<_> = twice.chain(good.iter().map(|order| 100 + order)).collect();
    assert_eq!(paid, expected);
}

pub fn a_message_of_an_unknown_type_can_be_parked<D: Database>() {
    let (_database, mut bus) = place::<D>(1..3);
    bus.persist(&[raw("OrderLost", "{}")], Default::default())
        .unwrap();
    orders()
        .dispatch(&mut bus, &OrderPlaced::number(3))
        .unwrap();
    let handled = handle_all(&mut bus, after(1, FailurePolicy::Park), |_| false);
    assert_eq!(handled, [1, 2, 3]);
    let parked = failed(&mut bus, "all", FailureState::Parked);
    assert_eq!(parked[0].message_type.as_deref(), Some("OrderLost"));
    assert!(parked[0].error.contains("does not know"), "{parked:?}");
}

pub fn a_consumer_parks_nothing_when_its_lease_is_lost<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    MessageDispatcher::<Tripwires>::new()
        .dispatch(&mut bus, &Tripwire {})
        .unwrap();
    let mut other = database.connect();
    let mut consumer = MessageConsumer::<Tripwires>::external("all", |_: &Message<Tripwires>| {
        steal(&mut other, "all", "tripwires");
        Err("too late".into())
    })
    .lease_duration(std::time::Duration::ZERO)
    .retry(after(1, FailurePolicy::Park));
    let error = consumer.handle_page(&mut bus).unwrap_err();
    assert!(error.is_lease_lost(), "{error:?}");
    assert!(format!("{error:#}").contains("too late"), "{error:#}");
    assert_eq!(
        bus.count_parked(ConsumerKey {
            consumer: "all",
            topic: "tripwires"
        })
        .unwrap(),
        0
    );
    let stored = bus
        .stored_consumer(ConsumerKey {
            consumer: "all",
            topic: "tripwires",
        })
        .unwrap()
        .unwrap();
    assert_eq!(stored.cursor, None);
}

pub fn a_poison_message_on_one_of_two_topics_is_parked<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    for order in 1..5 {
        orders()
            .dispatch(&mut bus, &OrderShipped { order })
            .unwrap();
        let payments = MessageDispatcher::<Payments>::new();
        payments.dispatch(&mut bus, &Paid { order }).unwrap();
    }
    let handled = RefCell::new(Vec::new());
    let mut consumer = MessageConsumer::<Ledger>::external("all", |message: &Message<Ledger>| {
        let seen = match message.payload() {
            Ledger::Shipped(shipped) => shipped.order,
            Ledger::Cancelled(cancelled) => cancelled.order,
            Ledger::Paid(paid) => 100 + paid.order,
        };
        if [2, 103].contains(&seen) {
            return Err("no".into());
        }
        handled.borrow_mut().push(seen);
        Ok(())
    })
    .retry(after(2, FailurePolicy::Park))
    .page_size(3);
    for _ in 0..12 {
        drop(consumer.handle_page(&mut bus));
    }
    drop(consumer);
    assert_eq!(handled.into_inner(), [1, 101, 102, 3, 4, 104]);
    for topic in ["orders", "payments"] {
        assert_eq!(
            bus.count_parked(ConsumerKey {
                consumer: "all",
                topic
            })
            .unwrap(),
            1
        );
    }
}

pub fn a_reset_forgets_failures_after_its_position<D: Database>() {
    let (_database, mut bus) = place::<D>(1..7);
    let refuses = |order| [2, 5].contains(&order);
    handle_all(&mut bus, after(1, FailurePolicy::Park), refuses);
    let mut consumer = MessageConsumer::<Orders>::external("all", super::ignore);
    let to = StartAt::Position(Position::new(3));
    consumer.reset(&mut bus, to).unwrap();
    let parked = failed(&mut bus, "all", FailureState::Parked);
    let parked: Vec<_> = parked.iter().map(|failed| failed.position.get()).collect();
    assert_eq!(parked, [2]);
    assert_eq!(consume(&mut bus, "all"), [4, 5, 6]);

    // The number of attempts starts at 1 again.
    consumer.reset(&mut bus, StartAt::Start).unwrap();
    for _ in 0..2 {
        let failing = MessageConsumer::<Orders>::external("all", fail);
        let failing = &mut failing.retry(after(8, FailurePolicy::Stop));
        let error = failing.handle_page(&mut bus).unwrap_err();
        assert_eq!(error.attempts(), Some(1), "{error:?}");
        consumer.reset(&mut bus, StartAt::Start).unwrap();
    }
}

fn fail(_message: &Message<Orders>) -> Result<(), HandlerError> {
    Err(Error::permanent("refusing", "no").into())
}
