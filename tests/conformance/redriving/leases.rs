//! Leases that expire, or nearly do, while their holder handles redriven messages.

use std::cell::{Cell, RefCell};
use std::error::Error as StdError;
use std::fmt;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use persisting_message_bus::backend::MessageConsumerState;
use persisting_message_bus::operate::{ConsumerKey, FailureState, MessageFailures, ParkedSelector};
use persisting_message_bus::{
    FailurePolicy, Message, MessageConsumer, MessageDispatcher, Position,
};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::topics::{Orders, Tripwire, Tripwires};

use super::{pay, redrive_all, redriven};
use crate::failing::{after, failed};
use crate::leases::{request, steal};
use crate::{stored, stored_consumer};

/// Replays the control `where_a_redriven_message_is_taken_without_the_lease` of the lease model. A
/// late statement of an earlier holder must not take the record of a message that has since been
/// parked and redriven again.
pub fn a_late_holder_takes_no_redriven_message<D: Database>() {
    let (_database, mut bus) = redriven::<D>(1..2);
    let (first, extend_lease) = (Position::new(1), Duration::from_secs(30));
    let mut acquire = |owner| bus.acquire(&request(owner, Duration::ZERO)).unwrap();
    let (late, next) = (acquire("late"), acquire("next"));
    for error in [
        bus.is_redriven(&late, first, extend_lease).unwrap_err(),
        bus.take_redriven(&late, first, extend_lease).unwrap_err(),
    ] {
        assert!(error.is_lease_lost(), "{error:?}");
    }
    assert_eq!(failed(&mut bus, "all", FailureState::Redriven).len(), 1);
    assert!(bus.is_redriven(&next, first, extend_lease).unwrap());
    assert!(bus.take_redriven(&next, first, extend_lease).unwrap());
    assert!(!bus.take_redriven(&next, first, extend_lease).unwrap());
}

pub fn a_redriven_message_has_no_effect_when_the_lease_is_lost<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let tripwires = MessageDispatcher::<Tripwires>::new();
    tripwires.dispatch(&mut bus, &Tripwire {}).unwrap();
    let mut refusing =
        MessageConsumer::<Tripwires>::external("all", |_: &Message<Tripwires>| Err("no".into()))
            .retry(after(1, FailurePolicy::Park));
    refusing.handle_page(&mut bus).unwrap();
    let on_tripwires = ConsumerKey::on::<Tripwires>("all");
    bus.redrive(on_tripwires, ParkedSelector::All).unwrap();
    // The lease duration is zero, and another holder acquires the lease during decoding.
    let handled = Cell::new(0);
    let mut consumer = MessageConsumer::<Tripwires>::transactional(
        "all",
        |_: &mut D::Bus, _: &Message<Tripwires>| {
            handled.set(handled.get() + 1);
            Ok(())
        },
    )
    .lease_duration(Duration::ZERO);
    let mut other = database.connect();
    Tripwire::on_next_decode(move || steal(&mut other, "all", "tripwires"));
    let error = consumer.handle_page(&mut bus).unwrap_err();
    assert!(error.is_lease_lost(), "{error:?}");
    assert_eq!(handled.get(), 0);
    let stored = stored_consumer(&mut bus, on_tripwires);
    assert_eq!(stored.lease_owner.as_deref(), Some("thief"));
}

/// An error that runs a closure when its text is formatted: after the rollback, and before the
/// failure is recorded.
struct Interleaved(Mutex<Option<Box<dyn FnOnce() + Send>>>);

impl Interleaved {
    fn new(run: impl FnOnce() + Send + 'static) -> Self {
        Self(Mutex::new(Some(Box::new(run))))
    }
}

impl fmt::Display for Interleaved {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let run = self.0.lock().unwrap().take();
        if let Some(run) = run {
            run();
        }
        formatter.write_str("late")
    }
}

impl fmt::Debug for Interleaved {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Interleaved")
    }
}

impl StdError for Interleaved {}

pub fn a_redriven_message_is_not_handled_twice_after_a_late_failure<D: Database>()
where
    D::Bus: Send + 'static,
{
    let (database, mut bus) = redriven::<D>(1..2);
    let mut other = Some(database.connect());
    let mut late = MessageConsumer::<Orders>::transactional(
        "all",
        move |_: &mut D::Bus, _: &Message<Orders>| {
            let mut other = other.take().expect("once");
            // The lease has expired. After the rollback, another consumer acquires it.
            Err(Interleaved::new(move || {
                let mut consumer = MessageConsumer::<Orders>::transactional("all", pay::<D::Bus>);
                assert_eq!(consumer.handle_page(&mut other).unwrap(), 1);
            })
            .into())
        },
    )
    .lease_duration(Duration::ZERO);
    drop(late.handle_page(&mut bus));
    assert_eq!(stored(&mut bus, "payments").len(), 1);
    redrive_all(&mut bus);
    let mut consumer = MessageConsumer::<Orders>::transactional("all", pay::<D::Bus>);
    consumer.handle_page(&mut bus).unwrap();
    assert_eq!(stored(&mut bus, "payments").len(), 1, "paid twice");
}

pub fn a_slow_redrive_keeps_the_lease<D: Database>() {
    let (database, mut bus) = redriven::<D>(1..6);
    let handled = RefCell::new(Vec::new());
    let mut other = database.connect();
    let mut consumer = MessageConsumer::<Orders>::external("all", |message: &Message<Orders>| {
        let order = message.payload().order();
        handled.borrow_mut().push(order);
        // A third of the lease duration, so that the lease can be renewed in time. All messages
        // together take longer than the lease duration.
        thread::sleep(Duration::from_millis(200));
        if order == 5 {
            let mut second =
                MessageConsumer::<Orders>::external("all", |message: &Message<Orders>| {
                    handled.borrow_mut().push(message.payload().order());
                    Ok(())
                });
            drop(second.handle_page(&mut other));
        }
        Ok(())
    })
    .lease_duration(Duration::from_millis(600));
    drop(consumer.handle_page(&mut bus));
    drop(consumer);
    assert_eq!(handled.into_inner(), [1, 2, 3, 4, 5]);
}

pub fn a_redrive_notices_that_the_lease_is_lost<D: Database>() {
    let (database, mut bus) = redriven::<D>(1..6);
    let mut other = database.connect();
    let handled = RefCell::new(Vec::new());
    let mut consumer = MessageConsumer::<Orders>::external("all", |message: &Message<Orders>| {
        handled.borrow_mut().push(message.payload().order());
        if message.payload().order() == 1 {
            let mut second =
                MessageConsumer::<Orders>::external("all", |message: &Message<Orders>| {
                    handled.borrow_mut().push(message.payload().order());
                    Ok(())
                });
            assert_eq!(second.handle_page(&mut other).unwrap(), 5);
        }
        Ok(())
    })
    .lease_duration(Duration::ZERO);
    let result = consumer.handle_page(&mut bus);
    drop(consumer);
    let handled = handled.into_inner();
    assert_eq!(
        handled,
        [1, 1, 2, 3, 4, 5],
        "only the current message may be repeated: {result:?}"
    );
}
