use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use chrono::{TimeZone, Utc};
use persisting_message_bus::backend::MessageRepository;
use persisting_message_bus::handler::HandlerError;
use persisting_message_bus::{
    FailurePolicy, Message, MessageConsumer, MessageDispatcher, OnDuplicate, Position, StartAt,
};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::topics::{Closed, OrderPlaced, Orders, Paid, Payments};

use super::consuming::raw;
use super::failing::after;
use super::leases::acquire;
use super::{CONSUMER, TestBus, consume, ignore, orders, stored, stored_consumer};

/// Returns a hook that counts its calls, and the count.
fn counting_hook() -> (
    Arc<AtomicUsize>,
    impl FnMut() -> Result<(), HandlerError> + Send,
) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let hook = move || {
        counted.fetch_add(1, SeqCst);
        Ok(())
    };
    (calls, hook)
}

fn place<D: Database>(count: u64) -> (D, D::Bus) {
    let database = D::create();
    let mut bus = database.connect();
    let batch = (0..count).map(OrderPlaced::number);
    orders().dispatch_batch(&mut bus, batch).unwrap();
    (database, bus)
}

pub fn the_hook_runs_once_before_the_first_message<D: Database>() {
    let (_database, mut bus) = place::<D>(5);
    for instance in 0..2 {
        let (calls, hook) = counting_hook();
        let seen = Arc::clone(&calls);
        let mut consumer = MessageConsumer::<Orders>::external("all", |_: &Message<Orders>| {
            assert_eq!(seen.load(SeqCst), 1 - instance, "before the message");
            Ok(())
        })
        .before_replay(hook)
        .page_size(2);
        for _ in 0..2 {
            consumer.handle_page(&mut bus).unwrap();
        }
        assert_eq!(calls.load(SeqCst), 1 - instance);
    }
}

pub fn the_hook_waits_for_a_message<D: Database>() {
    let (_database, mut bus) = place::<D>(0);
    let (calls, hook) = counting_hook();
    let mut consumer = MessageConsumer::<Closed>::external("closed", ignore).before_replay(hook);
    for _ in 0..3 {
        assert_eq!(consumer.handle_page(&mut bus).unwrap(), 0);
    }
    assert_eq!(calls.load(SeqCst), 0);
    // A first message outside the event set counts as a start, too.
    orders()
        .dispatch(&mut bus, &OrderPlaced::number(1))
        .unwrap();
    for _ in 0..3 {
        assert_eq!(consumer.handle_page(&mut bus).unwrap(), 0);
        assert_eq!(calls.load(SeqCst), 1);
    }
}

pub fn the_hook_is_not_repeated_when_the_first_message_fails<D: Database>() {
    let (_database, mut bus) = place::<D>(1);
    let (calls, hook) = counting_hook();
    let mut failures = 2;
    let mut consumer = MessageConsumer::<Orders>::external("all", |_: &Message<Orders>| {
        failures -= 1;
        if failures >= 0 {
            Err("not yet".into())
        } else {
            Ok(())
        }
    })
    .before_replay(hook);
    consumer.handle_page(&mut bus).unwrap_err();
    consumer.handle_page(&mut bus).unwrap_err();
    assert_eq!(consumer.handle_page(&mut bus).unwrap(), 1);
    assert_eq!(calls.load(SeqCst), 1);
}

pub fn the_hook_runs_when_the_first_message_is_parked<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    bus.persist(&[raw("OrderLost", "{}")], Default::default())
        .unwrap();
    orders()
        .dispatch(&mut bus, &OrderPlaced::number(2))
        .unwrap();
    let (calls, hook) = counting_hook();
    let mut consumer = MessageConsumer::<Orders>::external("all", ignore)
        .retry(after(1, FailurePolicy::Park))
        .unknown_timeout(Duration::ZERO)
        .before_replay(hook);
    for replays in 1..3 {
        while consumer.handle_page(&mut bus).unwrap() > 0 {}
        assert_eq!(calls.load(SeqCst), replays);
        consumer.reset(&mut bus, StartAt::Start).unwrap();
    }
}

pub fn a_failing_hook_handles_nothing_and_is_called_again<D: Database>() {
    let (_database, mut bus) = place::<D>(1);
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let mut consumer =
        MessageConsumer::<Orders>::external("all", ignore).before_replay(move || {
            match counted.fetch_add(1, SeqCst) {
                0 => Err("the table is in use".into()),
                _ => Ok(()),
            }
        });
    let error = consumer.handle_page(&mut bus).unwrap_err();
    assert!(error.is_handler_failure());
    assert!(format!("{error:#}").contains("the table is in use"));
    assert_eq!(consumer.handle_page(&mut bus).unwrap(), 1);
    assert_eq!(calls.load(SeqCst), 2);
}

/// The page has only messages that the consumer does not read, and its lease must be extended before the
/// hook. That does not move the cursor.
pub fn a_failing_hook_before_unwanted_messages_is_called_again<D: Database>() {
    let (_database, mut bus) = place::<D>(3);
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let mut consumer = MessageConsumer::<Closed>::external("all", ignore)
        .before_replay(move || match counted.fetch_add(1, SeqCst) {
            0 => Err("the table is in use".into()),
            _ => Ok(()),
        })
        .lease_duration(Duration::ZERO);
    let cursor = |bus: &mut D::Bus| stored_consumer(bus, CONSUMER).cursor;
    consumer.handle_page(&mut bus).unwrap_err();
    assert_eq!(cursor(&mut bus), None);
    consumer.handle_page(&mut bus).unwrap();
    assert_eq!(calls.load(SeqCst), 2);
    assert_eq!(cursor(&mut bus), Some(Position::new(3)));
}

pub fn the_hook_runs_again_after_a_reset_to_the_start<D: Database>() {
    let (_database, mut bus) = place::<D>(3);
    let (calls, hook) = counting_hook();
    let mut consumer = MessageConsumer::<Orders>::external("all", ignore).before_replay(hook);
    for replays in 1..4 {
        assert_eq!(consumer.handle_page(&mut bus).unwrap(), 3);
        assert_eq!(consumer.handle_page(&mut bus).unwrap(), 0);
        assert_eq!(calls.load(SeqCst), replays);
        consumer.reset(&mut bus, StartAt::Start).unwrap();
    }
}

pub fn a_transactional_hook_is_rolled_back_when_it_fails<D: Database>() {
    let (_database, mut bus) = place::<D>(1);
    let mut fails = true;
    let mut consumer =
        MessageConsumer::<Orders>::transactional("all", |_: &mut D::Bus, _: &Message<Orders>| {
            Ok(())
        })
        .before_replay(move |bus: &mut D::Bus| {
            MessageDispatcher::<Payments>::new().dispatch(bus, &Paid { order: 1 })?;
            if std::mem::take(&mut fails) {
                Err("not yet".into())
            } else {
                Ok(())
            }
        });
    consumer.handle_page(&mut bus).unwrap_err();
    assert_eq!(stored(&mut bus, "payments").len(), 0);
    assert_eq!(consumer.handle_page(&mut bus).unwrap(), 1);
    assert_eq!(stored(&mut bus, "payments").len(), 1);
}

pub fn a_reset_to_the_end_skips_existing_messages<D: Database>() {
    let (_database, mut bus) = place::<D>(3);
    let (calls, hook) = counting_hook();
    let mut consumer = MessageConsumer::<Orders>::external("all", ignore).before_replay(hook);
    consumer.reset(&mut bus, StartAt::End).unwrap();
    assert_eq!(consumer.handle_page(&mut bus).unwrap(), 0);
    orders()
        .dispatch(&mut bus, &OrderPlaced::number(3))
        .unwrap();
    assert_eq!(consumer.handle_page(&mut bus).unwrap(), 1);
    assert_eq!(
        calls.load(SeqCst),
        0,
        "the consumer did not start at the beginning"
    );
}

pub fn a_reset_to_a_position_continues_after_it<D: Database>() {
    let (_database, mut bus) = place::<D>(5);
    assert_eq!(consume(&mut bus, "all").len(), 5);
    let third = stored(&mut bus, "orders")[2].0;
    let mut consumer = MessageConsumer::<Orders>::external("all", ignore);
    consumer.reset(&mut bus, StartAt::Position(third)).unwrap();
    assert_eq!(consume(&mut bus, "all"), [3, 4]);
}

pub fn a_reset_to_a_position_that_never_was_is_refused<D: Database>() {
    let (_database, mut bus) = place::<D>(2);
    assert_eq!(consume(&mut bus, "all").len(), 2);
    bus.persist(&[raw("OrderShipped", r#"{"order":9}"#)], OnDuplicate::Fail)
        .unwrap();
    let mut consumer = MessageConsumer::<Orders>::external("all", ignore);
    for position in [-1, 4] {
        let to = StartAt::Position(Position::new(position));
        let error = consumer.reset(&mut bus, to).unwrap_err();
        assert!(error.is_broken_cursor(), "{error:?}");
    }
    assert_eq!(consume(&mut bus, "all"), [9]);
}

pub fn a_reset_is_refused_while_another_holds_the_lease<D: Database>() {
    let (_database, mut bus) = place::<D>(2);
    assert_eq!(consume(&mut bus, "all").len(), 2);
    let lease = acquire(&mut bus, "another process").unwrap();
    let mut consumer = MessageConsumer::<Orders>::external("all", ignore);
    let error = consumer.reset(&mut bus, StartAt::Start).unwrap_err();
    assert!(error.is_lease_held());
    persisting_message_bus::backend::MessageConsumerState::release(&mut bus, &lease).unwrap();
    assert!(consume(&mut bus, "all").is_empty());
}

/// Handles everything, and returns for each order whether it was a replay.
fn replays(bus: &mut impl TestBus) -> Vec<(u64, bool)> {
    let mut seen = Vec::new();
    let mut consumer = MessageConsumer::<Orders>::external("all", |message: &Message<Orders>| {
        seen.push((message.payload().order(), message.is_replay()));
        Ok(())
    })
    .page_size(2);
    while consumer.handle_page(bus).unwrap() > 0 {}
    drop(consumer);
    seen
}

pub fn messages_handled_before_a_reset_are_replays<D: Database>() {
    let (_database, mut bus) = place::<D>(3);
    assert_eq!(replays(&mut bus), [(0, false), (1, false), (2, false)]);
    let mut consumer = MessageConsumer::<Orders>::external("all", ignore);
    consumer.reset(&mut bus, StartAt::Start).unwrap();
    orders()
        .dispatch(&mut bus, &OrderPlaced::number(3))
        .unwrap();
    // A second reset during the replay does not lose the position up to which messages are replays.
    let second = stored(&mut bus, "orders")[1].0;
    consumer.reset(&mut bus, StartAt::Position(second)).unwrap();
    assert_eq!(replays(&mut bus), [(2, true), (3, false)]);
    consumer.reset(&mut bus, StartAt::Start).unwrap();
    let all = replays(&mut bus);
    assert_eq!(all, [(0, true), (1, true), (2, true), (3, true)]);
}

pub fn a_reset_to_a_time_continues_with_the_first_message_since_then<D: Database>() {
    let (_database, mut bus) = place::<D>(0);
    let hour = |hour: u32| Utc.with_ymd_and_hms(2026, 3, 29, hour, 30, 0).unwrap();
    // As recorded by machines whose clocks differ.
    for (order, recorded) in [(0, 1), (1, 4), (2, 3), (3, 6)] {
        let mut message = raw("OrderShipped", &format!("{{\"order\":{order}}}"));
        message.published_at = hour(recorded);
        bus.persist(&[message], OnDuplicate::Fail).unwrap();
    }
    let mut consumer = MessageConsumer::<Orders>::external("all", ignore);
    for (time, expected) in [
        (hour(0), &[0, 1, 2, 3][..]),
        (hour(2), &[1, 2, 3]),
        (hour(4), &[1, 2, 3]),
        (hour(5), &[3]),
        (hour(7), &[]),
    ] {
        consumer.reset(&mut bus, StartAt::Time(time)).unwrap();
        assert_eq!(consume(&mut bus, "all"), expected, "since {time}");
    }
}
