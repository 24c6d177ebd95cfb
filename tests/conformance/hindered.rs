//! Handlers that return a transient error of their own query by `?`, whatever its database is.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering::SeqCst};

use diesel::result::{DatabaseErrorKind, Error as DieselError};
use persisting_message_bus::handler::HandlerError;
use persisting_message_bus::operate::{ConsumerKey, FailureState, MessageFailures, ParkedSelector};
use persisting_message_bus::{Error, FailurePolicy, Message, MessageConsumer};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::topics::Orders;

use super::TestBus;
use super::failing::{after, failed, place};

fn deadlock() -> DieselError {
    let text = Box::new("deadlock detected".to_owned());
    DieselError::DatabaseError(DatabaseErrorKind::Unknown, text)
}

fn duplicate() -> DieselError {
    let text = Box::new("UNIQUE constraint failed".to_owned());
    DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, text)
}

/// Runs a query that fails with a deadlock while the counter is above 0.
fn query(hindered: &Cell<u32>) -> Result<(), HandlerError> {
    let left = hindered.get();
    hindered.set(left.saturating_sub(1));
    match left {
        0 => Ok(()),
        _ => Err(deadlock())?,
    }
}

fn is_no_attempt(error: &Error) {
    assert!(
        error.is_retryable() && !error.is_handler_failure(),
        "{error:?}"
    );
    assert_eq!(
        (error.position(), error.attempts()),
        (None, None),
        "{error:?}"
    );
}

fn nothing_failed(bus: &mut impl TestBus, consumer: &str) {
    for state in [FailureState::Failing, FailureState::Parked] {
        assert!(failed(bus, consumer, state).is_empty(), "{consumer}");
    }
}

pub fn transient_errors_of_a_handlers_query_do_not_count_as_attempts<D: Database>() {
    let (_database, mut bus) = place::<D>(1..4);
    let hindered = Cell::new(3);
    let park = || after(1, FailurePolicy::Park);
    let each = |_: &mut D::Bus, _: &Message<Orders>| query(&hindered);
    let pages = |_: &mut D::Bus, _: &[Message<Orders>]| query(&hindered);
    let external = |_: &Message<Orders>| query(&hindered);
    let mut each = MessageConsumer::<Orders>::transactional("each", each).retry(park());
    let mut pages = MessageConsumer::<Orders>::transactional_pages("pages", pages).retry(park());
    let mut external = MessageConsumer::<Orders>::external("external", external).retry(park());
    for _ in 0..3 {
        is_no_attempt(&each.handle_page(&mut bus).unwrap_err());
    }
    assert_eq!(each.handle_page(&mut bus).unwrap(), 3);
    hindered.set(3);
    for _ in 0..3 {
        is_no_attempt(&pages.handle_page(&mut bus).unwrap_err());
    }
    assert_eq!(pages.handle_new_messages(&mut bus).unwrap(), 3);
    hindered.set(3);
    for _ in 0..3 {
        is_no_attempt(&external.handle_page(&mut bus).unwrap_err());
    }
    assert_eq!(external.handle_page(&mut bus).unwrap(), 3);
    for consumer in ["each", "pages", "external"] {
        nothing_failed(&mut bus, consumer);
    }
}

pub fn progress_of_an_external_handler_is_kept_when_a_query_fails<D: Database>() {
    let (_database, mut bus) = place::<D>(1..4);
    let handled = Cell::new(0);
    let mut consumer = MessageConsumer::<Orders>::external("all", |message: &Message<Orders>| {
        let order = message.payload().order();
        if order == 3 && handled.replace(order) == 2 {
            Err(deadlock())?;
        }
        handled.set(order);
        Ok(())
    });
    is_no_attempt(&consumer.handle_page(&mut bus).unwrap_err());
    assert_eq!(consumer.handle_page(&mut bus).unwrap(), 1);
    nothing_failed(&mut bus, "all");
}

pub fn permanent_errors_of_a_handlers_query_count_as_attempts<D: Database>() {
    let (_database, mut bus) = place::<D>(1..2);
    let refused = |_: &mut D::Bus, _: &Message<Orders>| Err(duplicate().into());
    let mut consumer = MessageConsumer::<Orders>::transactional("all", refused);
    for attempts in 1..3 {
        let error = consumer.handle_page(&mut bus).unwrap_err();
        assert!(error.is_handler_failure(), "{error:?}");
        assert_eq!(error.attempts(), Some(attempts), "{error:?}");
    }
}

pub fn a_hook_is_called_again_when_its_query_fails_transiently<D: Database>() {
    let (_database, mut bus) = place::<D>(1..3);
    let calls = Arc::new(AtomicI32::new(0));
    let [one, other] = [(); 2].map(|()| Arc::clone(&calls));
    let call = |calls: &AtomicI32| match calls.fetch_add(1, SeqCst) % 3 {
        2 => Ok(()),
        _ => Err(HandlerError::from(deadlock())),
    };
    let handler = |_: &mut D::Bus, _: &Message<Orders>| Ok(());
    let mut transactional = MessageConsumer::<Orders>::transactional("transactional", handler)
        .before_replay(move |_| call(&one));
    let mut external = MessageConsumer::<Orders>::external("external", super::ignore)
        .before_replay(move || call(&other));
    for _ in 0..2 {
        is_no_attempt(&transactional.handle_page(&mut bus).unwrap_err());
    }
    assert_eq!(transactional.handle_page(&mut bus).unwrap(), 2);
    for _ in 0..2 {
        is_no_attempt(&external.handle_page(&mut bus).unwrap_err());
    }
    assert_eq!(external.handle_page(&mut bus).unwrap(), 2);
    assert_eq!(calls.load(SeqCst), 6);
}

pub fn a_redriven_message_stays_redriven_when_its_query_fails_transiently<D: Database>() {
    let (_database, mut bus) = place::<D>(1..2);
    let failing = |_: &Message<Orders>| Err("no stock".into());
    for consumer in ["transactional", "external"] {
        MessageConsumer::<Orders>::external(consumer, failing)
            .retry(after(1, FailurePolicy::Park))
            .handle_page(&mut bus)
            .unwrap();
        bus.redrive(
            ConsumerKey {
                consumer,
                topic: "orders",
            },
            ParkedSelector::All,
        )
        .unwrap();
    }
    let hindered = Cell::new(1);
    let handler = |_: &mut D::Bus, _: &Message<Orders>| query(&hindered);
    let mut transactional = MessageConsumer::transactional("transactional", handler);
    is_no_attempt(&transactional.handle_page(&mut bus).unwrap_err());
    assert_eq!(
        failed(&mut bus, "transactional", FailureState::Redriven).len(),
        1
    );
    assert_eq!(transactional.handle_page(&mut bus).unwrap(), 1);
    hindered.set(1);
    let handler = |_: &Message<Orders>| query(&hindered);
    let mut external = MessageConsumer::external("external", handler);
    is_no_attempt(&external.handle_page(&mut bus).unwrap_err());
    assert_eq!(
        failed(&mut bus, "external", FailureState::Redriven).len(),
        1
    );
    assert_eq!(external.handle_page(&mut bus).unwrap(), 1);
}
