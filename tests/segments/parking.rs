//! Messages of a segment that are set aside.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use persisting_message_bus::backend::{
    LeaseRequest, MessageConsumerState, MessageSource, NewFailure,
};
use persisting_message_bus::handler::{External, HandlerError};
use persisting_message_bus::operate::{
    ConsumerStatus, FailedMessagesRequest, FailureState, MessageFailures, ParkedSelector,
};
use persisting_message_bus::{
    FailurePolicy, Message, MessageConsumer, ParallelConsumer, RetryPolicy,
};
use persisting_message_bus_tests::databases::Database;

use super::handling::{Handled, MESSAGES, note, numbers, place};
use super::topic::Orders;
use super::{key, segments};

type Handler = Box<dyn FnMut(&Message<Orders>) -> Result<(), HandlerError> + Send>;

/// A handler that fails on one message until it is cured.
#[derive(Clone, Default)]
pub struct Poisoned {
    handled: Handled,
    is_cured: Arc<AtomicBool>,
}

impl Poisoned {
    pub fn new() -> Self {
        Self::default()
    }

    fn handle(&self, message: &Message<Orders>) -> Result<(), HandlerError> {
        if message.payload().number() == 41 && !self.is_cured.load(Ordering::Relaxed) {
            return Err("a poisonous order".into());
        }
        note(&self.handled, message);
        Ok(())
    }

    pub fn cure(&self) {
        self.is_cured.store(true, Ordering::Relaxed);
    }

    pub fn numbers(&self) -> Vec<u64> {
        numbers(&self.handled)
    }
}

/// Returns a consumer whose failure policy applies after the first failure.
pub fn failing(
    name: &'static str,
    poisoned: &Poisoned,
    then: FailurePolicy,
) -> MessageConsumer<Orders, External<Handler>> {
    let poisoned = poisoned.clone();
    let retry = RetryPolicy::default()
        .initial_delay(Duration::ZERO)
        .max_attempts(1)
        .on_exhausted(then);
    let handler: Handler = Box::new(move |message| poisoned.handle(message));
    MessageConsumer::<Orders>::external(name, handler).retry(retry)
}

/// Returns a consumer in eight segments, which parks the poisonous message.
pub fn parking(
    name: &'static str,
    poisoned: &Poisoned,
) -> ParallelConsumer<Orders, External<Handler>> {
    let poisoned = poisoned.clone();
    ParallelConsumer::by_key(move || failing(name, &poisoned, FailurePolicy::Park)).segments(8)
}

/// Returns a consumer in eight segments, of which one stops before the poisonous message.
fn stopping(
    name: &'static str,
    poisoned: &Poisoned,
) -> ParallelConsumer<Orders, External<Handler>> {
    let poisoned = poisoned.clone();
    ParallelConsumer::by_key(move || failing(name, &poisoned, FailurePolicy::Stop)).segments(8)
}

pub fn a_parked_message_is_redriven_and_handled_once<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    place(&mut bus, 0..MESSAGES);
    let poisoned = Poisoned::new();
    let mut consumer = parking("all", &poisoned);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 99);
    let parked = FailedMessagesRequest::of_parked(key("all"));
    let parked = bus.failed_messages(&parked).unwrap();
    assert_eq!(parked.len(), 1);
    assert_eq!(parked[0].attempts, 1);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 0);

    let which = ParkedSelector::At(parked[0].position);
    assert_eq!(bus.redrive(key("all"), which).unwrap(), 1);
    let rows = segments(&mut bus, "all").into_iter();
    let redriven = rows.filter_map(|row| row.first_redriven);
    assert_eq!(redriven.collect::<Vec<_>>(), [parked[0].position]);
    // It fails again, and is parked again.
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 0);
    assert_eq!(bus.count_parked(key("all")).unwrap(), 1);

    poisoned.cure();
    assert_eq!(bus.redrive(key("all"), which).unwrap(), 1);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 1);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 0);
    assert_eq!(poisoned.numbers(), Vec::from_iter(0..MESSAGES));
    assert_eq!(bus.count_parked(key("all")).unwrap(), 0);
}

pub fn a_message_that_was_parked_before_the_division_is_redriven<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    place(&mut bus, 0..MESSAGES);
    let poisoned = Poisoned::new();
    let mut whole = failing("all", &poisoned, FailurePolicy::Park);
    assert_eq!(whole.handle_new_messages(&mut bus).unwrap(), 99);
    let mut consumer = parking("all", &poisoned);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 0);
    assert_eq!(bus.count_parked(key("all")).unwrap(), 1);
    poisoned.cure();
    assert_eq!(bus.redrive(key("all"), ParkedSelector::All).unwrap(), 1);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 1);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 0);
    assert_eq!(poisoned.numbers(), Vec::from_iter(0..MESSAGES));
}

pub fn a_parked_message_can_be_discarded<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    place(&mut bus, 0..MESSAGES);
    let poisoned = Poisoned::new();
    let mut consumer = parking("all", &poisoned);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 99);
    let which = ParkedSelector::OfType("Step");
    assert_eq!(bus.discard(key("all"), which).unwrap(), 1);
    assert_eq!(bus.count_parked(key("all")).unwrap(), 0);
    assert_eq!(bus.redrive(key("all"), ParkedSelector::All).unwrap(), 0);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 0);
}

pub fn a_message_that_failed_before_the_division_fails_in_its_segment<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    place(&mut bus, 0..MESSAGES);
    let poisoned = Poisoned::new();
    let mut whole = failing("all", &poisoned, FailurePolicy::Stop);
    whole.handle_new_messages(&mut bus).unwrap_err();
    let mut consumer = stopping("all", &poisoned);
    let error = consumer.handle_new_messages(&mut bus).unwrap_err();
    assert!(error.is_handler_failure(), "{error}");
    let status = ConsumerStatus::read(&mut bus, key("all")).unwrap();
    let failing = status.segments.iter().filter(|it| it.failure.is_some());
    let failing: Vec<_> = failing.collect();
    assert_eq!(failing.len(), 1, "{status:#?}");
    assert!(failing[0].lag_messages > 0);
    assert_eq!(failing[0].failure, status.failure);
    poisoned.cure();
    consumer.handle_new_messages(&mut bus).unwrap();
    assert_eq!(poisoned.numbers(), Vec::from_iter(0..MESSAGES));
}

pub fn a_consumer_with_a_final_message_is_not_divided<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    place(&mut bus, 0..MESSAGES);
    let poisoned = Poisoned::new();
    let lease = bus
        .acquire(&LeaseRequest {
            consumer: "all",
            topic: "orders",
            segment: None,
            owner: "another process",
            duration: Duration::from_secs(60),
            identity: Default::default(),
            hands_out: false,
        })
        .unwrap();
    let failure = NewFailure {
        position: bus.current_head("orders").unwrap(),
        message_id: None,
        message_type: None,
        error: "the transaction has ended",
        extend_lease: Duration::from_secs(60),
        state: FailureState::Final,
    };
    bus.record_failure(&lease, &failure).unwrap();
    bus.release(&lease).unwrap();
    let mut consumer = stopping("all", &poisoned);
    let error = consumer.handle_new_messages(&mut bus).unwrap_err();
    assert!(
        format!("{error:#}").contains("is not attempted again"),
        "{error:#}"
    );
    let row = bus.stored_consumer(key("all")).unwrap().unwrap();
    assert_eq!((row.division, row.lease_owner), (None, None));
    assert_eq!(poisoned.numbers(), [0; 0]);
}
