//! Consumers that record, ignore or park messages, and assertions on their errors.

use std::fmt::Debug;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex};

use persisting_message_bus::backend::{MessageConsumerState, MessageRepository, MessageSource};
use persisting_message_bus::handler::{External, HandlerError};
use persisting_message_bus::operate::ConsumerKey;
use persisting_message_bus::{
    Error, EventSet, FailurePolicy, Message, MessageConsumer, MessageDispatcher, RetryPolicy,
};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::topics::{OrderCancelled, OrderPlaced, OrderShipped, Orders};

pub const ALL: ConsumerKey<'static> = ConsumerKey {
    consumer: "all",
    topic: "orders",
};

pub const MAILER: ConsumerKey<'static> = ConsumerKey {
    consumer: "mailer",
    ..ALL
};

/// What a consumer has handled: positions and types.
pub type Handled = Arc<Mutex<Vec<(i64, String)>>>;

pub fn handled(seen: &Handled) -> Vec<(i64, String)> {
    std::mem::take(&mut *seen.lock().unwrap())
}

pub type Handling<S, F> = MessageConsumer<S, External<F>>;

/// Returns a consumer that records what it handles.
pub fn recording<S: EventSet>(
    name: &str,
    seen: &Handled,
) -> Handling<S, impl FnMut(&Message<S>) -> Result<(), HandlerError> + use<S>> {
    let seen = Arc::clone(seen);
    MessageConsumer::external(name, move |message: &Message<S>| {
        let it = (message.position().get(), message.message_type().to_owned());
        seen.lock().unwrap().push(it);
        Ok(())
    })
}

pub fn ignoring<S: EventSet>(
    name: &str,
) -> Handling<S, impl FnMut(&Message<S>) -> Result<(), HandlerError> + use<S>> {
    MessageConsumer::external(name, |_| Ok(()))
}

pub fn place(bus: &mut impl MessageRepository, numbers: RangeInclusive<u64>) {
    let placed = numbers.map(OrderPlaced::number);
    let orders = MessageDispatcher::<Orders>::new();
    orders.dispatch_batch(bus, placed).unwrap();
}

/// Publishes a placed, a shipped and a cancelled order.
pub fn publish_one_of_each(bus: &mut impl MessageRepository) {
    let orders = MessageDispatcher::<Orders>::new();
    orders.dispatch(bus, &OrderPlaced::number(1)).unwrap();
    orders.dispatch(bus, &OrderShipped { order: 1 }).unwrap();
    let cancelled = OrderCancelled {
        order: 1,
        reason: None,
    };
    orders.dispatch(bus, &cancelled).unwrap();
}

pub fn of_type(position: i64, message_type: &str) -> (i64, String) {
    (position, message_type.to_owned())
}

/// Returns the positions of the messages that a consumer has handled.
pub fn positions(seen: &Handled) -> Vec<i64> {
    handled(seen).into_iter().map(|(at, _)| at).collect()
}

/// Returns a policy that parks a message at its first failure.
pub fn park() -> RetryPolicy {
    RetryPolicy::default()
        .max_attempts(1)
        .on_exhausted(FailurePolicy::Park)
}

/// Returns a consumer that parks the messages that a function selects, and ignores the others.
pub fn parking<S: EventSet, F: Fn(&Message<S>) -> bool>(
    name: &str,
    refuses: F,
) -> Handling<S, impl FnMut(&Message<S>) -> Result<(), HandlerError> + use<S, F>> {
    let handler = move |message: &Message<S>| match refuses(message) {
        true => Err("not now".into()),
        false => Ok(()),
    };
    MessageConsumer::external(name, handler).retry(park())
}

/// Handles new messages with a new consumer, which ignores them.
pub fn run<S: EventSet>(
    bus: &mut (impl MessageSource + MessageConsumerState),
    name: &str,
) -> Result<usize, Error> {
    ignoring::<S>(name).handle_new_messages(bus)
}

/// Returns a database in which a placed, a shipped and a cancelled order were published.
pub fn with_one_of_each<D: Database>() -> (D, D::Bus) {
    let database = D::create();
    let mut bus = database.connect();
    publish_one_of_each(&mut bus);
    (database, bus)
}

#[track_caller]
fn assert_fails<T: Debug>(result: Result<T, Error>, is_expected: fn(&Error) -> bool) -> Error {
    let error = result.unwrap_err();
    assert!(is_expected(&error), "{error:#}");
    error
}

/// Asserts that the event set conflicts with that of another program, and returns the error.
#[track_caller]
pub fn assert_conflict<T: Debug>(result: Result<T, Error>) -> Error {
    assert_fails(result, Error::is_event_set_conflict)
}

/// Asserts that a program does not know a message, and returns the error.
#[track_caller]
pub fn assert_unknown<T: Debug>(result: Result<T, Error>) -> Error {
    assert_fails(result, Error::is_unknown_message)
}

/// Asserts that the cursor is not one of the source, and returns the error.
#[track_caller]
pub fn assert_broken<T: Debug>(result: Result<T, Error>) -> Error {
    assert_fails(result, Error::is_broken_cursor)
}
