//! What is to be expected of a database that fails: the same in every language, for the library and for what a
//! handler does by itself.

mod catalogues;
mod chains;
mod mariadb;
mod packets;
mod postgres;
mod sqlite;

use std::time::{Duration, Instant};

use diesel::result::{DatabaseErrorKind, Error as DieselError};
use persisting_message_bus::{
    Error, FailureState, GiveUp, HandlerError, Message, MessageConsumer, MessageConsumerState,
    MessageDispatcher, MessageRepository, MessageSource, Retry, TransactionsOn,
};
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};

fn orders() -> MessageDispatcher<Orders> {
    MessageDispatcher::new()
}

/// An error of a database that Diesel has no kind for.
fn said(text: &str) -> DieselError {
    DieselError::DatabaseError(DatabaseErrorKind::Unknown, Box::new(text.to_owned()))
}

/// The message that is given up after its first attempt.
fn park() -> Retry {
    Retry::default()
        .base(Duration::ZERO)
        .attempts(1)
        .then(GiveUp::Park)
}

/// What a transactional consumer returns whose handler does this with its first message.
fn handle_first<C>(
    bus: &mut C,
    handler: impl Fn(&mut C) -> Result<(), HandlerError>,
) -> Result<usize, Error>
where
    C: MessageSource + MessageConsumerState + MessageRepository + TransactionsOn<C>,
{
    orders().dispatch(bus, &OrderPlaced::number(1))?;
    let handler = |bus: &mut C, _: &Message<Orders>| handler(bus);
    MessageConsumer::<Orders>::transactional("all", handler)
        .retry(park())
        .handle_new_messages(bus)
}

/// Whether a message was attempted.
fn is_attempted(bus: &mut impl MessageConsumerState) -> bool {
    let mut states = [FailureState::Failing, FailureState::Parked].into_iter();
    states.any(|state| bus.count_failed("all", "orders", state).unwrap() > 0)
}

/// As whoever is in the way may be gone the next time.
fn may_pass(error: &Error) {
    let passes = error.is_retryable() && !error.is_disconnected();
    assert!(passes, "{error:?}");
}

/// As the connection is.
fn is_lost(error: &Error) {
    let is_lost = error.is_retryable() && error.is_disconnected();
    assert!(is_lost, "{error:?}");
}

/// Waits for what somebody else does.
fn wait_until(mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it never is");
    }
}
