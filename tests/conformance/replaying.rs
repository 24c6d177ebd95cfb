use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use persisting_message_bus::{
    Duplicates, HandlerError, Message, MessageConsumer, MessageDispatcher, MessageRepository,
    Position, ResetTo,
};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::topics::{Closed, OrderPlaced, Orders, Paid, Payments};

use super::consuming::raw;
use super::leases::acquire;
use super::{consume, ignore, orders, stored};

/// A hook that counts its calls, and the count.
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
            consumer.handle_new_messages(&mut bus).unwrap();
        }
        assert_eq!(calls.load(SeqCst), 1 - instance);
    }
}

pub fn the_hook_waits_for_a_message<D: Database>() {
    let (_database, mut bus) = place::<D>(0);
    let (calls, hook) = counting_hook();
    let mut consumer = MessageConsumer::<Closed>::external("closed", ignore).before_replay(hook);
    for _ in 0..3 {
        assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 0);
    }
    assert_eq!(calls.load(SeqCst), 0);
    // One that the event set passes over is one that it starts with, too.
    orders()
        .dispatch(&mut bus, &OrderPlaced::number(1))
        .unwrap();
    for _ in 0..3 {
        assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 0);
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
    consumer.handle_new_messages(&mut bus).unwrap_err();
    consumer.handle_new_messages(&mut bus).unwrap_err();
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 1);
    assert_eq!(calls.load(SeqCst), 1);
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
    let error = consumer.handle_new_messages(&mut bus).unwrap_err();
    assert!(error.is_handler_failure());
    assert!(format!("{error:#}").contains("the table is in use"));
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 1);
    assert_eq!(calls.load(SeqCst), 2);
}

pub fn the_hook_runs_again_after_a_reset_to_the_start<D: Database>() {
    let (_database, mut bus) = place::<D>(3);
    let (calls, hook) = counting_hook();
    let mut consumer = MessageConsumer::<Orders>::external("all", ignore).before_replay(hook);
    for replays in 1..4 {
        assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 3);
        assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 0);
        assert_eq!(calls.load(SeqCst), replays);
        consumer.reset(&mut bus, ResetTo::Start).unwrap();
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
    consumer.handle_new_messages(&mut bus).unwrap_err();
    assert_eq!(stored(&mut bus, "payments").len(), 0);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 1);
    assert_eq!(stored(&mut bus, "payments").len(), 1);
}

pub fn a_reset_to_the_end_passes_what_is_there<D: Database>() {
    let (_database, mut bus) = place::<D>(3);
    let (calls, hook) = counting_hook();
    let mut consumer = MessageConsumer::<Orders>::external("all", ignore).before_replay(hook);
    consumer.reset(&mut bus, ResetTo::End).unwrap();
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 0);
    orders()
        .dispatch(&mut bus, &OrderPlaced::number(3))
        .unwrap();
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 1);
    assert_eq!(calls.load(SeqCst), 0, "it did not start from the beginning");
}

pub fn a_reset_to_a_position_goes_on_behind_it<D: Database>() {
    let (_database, mut bus) = place::<D>(5);
    assert_eq!(consume(&mut bus, "all").len(), 5);
    let third = stored(&mut bus, "orders")[2].0;
    let mut consumer = MessageConsumer::<Orders>::external("all", ignore);
    consumer.reset(&mut bus, ResetTo::Position(third)).unwrap();
    assert_eq!(consume(&mut bus, "all"), [3, 4]);
}

pub fn a_reset_to_a_position_that_never_was_is_refused<D: Database>() {
    let (_database, mut bus) = place::<D>(2);
    assert_eq!(consume(&mut bus, "all").len(), 2);
    bus.persist(&[raw("OrderShipped", r#"{"order":9}"#)], Duplicates::Fail)
        .unwrap();
    let mut consumer = MessageConsumer::<Orders>::external("all", ignore);
    for position in [-1, 4] {
        let to = ResetTo::Position(Position::new(position));
        let error = consumer.reset(&mut bus, to).unwrap_err();
        assert!(error.is_broken_cursor(), "{error:?}");
    }
    assert_eq!(consume(&mut bus, "all"), [9]);
}

pub fn a_reset_is_refused_while_another_holds_the_lease<D: Database>() {
    let (_database, mut bus) = place::<D>(2);
    assert_eq!(consume(&mut bus, "all").len(), 2);
    let lease = acquire(&mut bus, "somebody").unwrap();
    let mut consumer = MessageConsumer::<Orders>::external("all", ignore);
    let error = consumer.reset(&mut bus, ResetTo::Start).unwrap_err();
    assert!(error.is_locked());
    persisting_message_bus::MessageConsumerState::release(&mut bus, &lease).unwrap();
    assert!(consume(&mut bus, "all").is_empty());
}
