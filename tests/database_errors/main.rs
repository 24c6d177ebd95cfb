//! The classification of database errors. It is the same in every language, for the library's own
//! statements and for those of a handler.

mod catalogues;
mod chains;
mod mariadb;
mod packets;
mod postgres;
mod sqlite;

use std::time::Duration;

use diesel::result::{DatabaseErrorKind, Error as DieselError};
use persisting_message_bus::backend::{
    MessageConsumerState, MessageRepository, MessageSource, TransactionControlOn,
};
use persisting_message_bus::handler::HandlerError;
use persisting_message_bus::operate::{ConsumerKey, FailureState};
use persisting_message_bus::{
    Error, FailurePolicy, Message, MessageConsumer, MessageDispatcher, RetryPolicy,
};
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};

fn orders() -> MessageDispatcher<Orders> {
    MessageDispatcher::new()
}

/// Returns a database error for which Diesel has no kind.
fn said(text: &str) -> DieselError {
    DieselError::DatabaseError(DatabaseErrorKind::Unknown, Box::new(text.to_owned()))
}

/// Returns a policy that parks a message after its first failed attempt.
fn park() -> RetryPolicy {
    RetryPolicy::default()
        .initial_delay(Duration::ZERO)
        .max_attempts(1)
        .on_exhausted(FailurePolicy::Park)
}

/// Runs a transactional consumer with this handler on one message, and returns its result.
fn handle_first<C>(
    bus: &mut C,
    handler: impl Fn(&mut C) -> Result<(), HandlerError>,
) -> Result<usize, Error>
where
    C: MessageSource + MessageConsumerState + MessageRepository + TransactionControlOn<C>,
{
    orders().dispatch(bus, &OrderPlaced::number(1))?;
    let handler = |bus: &mut C, _: &Message<Orders>| handler(bus);
    MessageConsumer::<Orders>::transactional("all", handler)
        .retry(park())
        .handle_page(bus)
}

/// Returns whether a failed attempt at the message was counted.
fn is_attempted(bus: &mut impl MessageConsumerState) -> bool {
    let mut states = [FailureState::Failing, FailureState::Parked].into_iter();
    states.any(|state| {
        bus.count_failed(
            ConsumerKey {
                consumer: "all",
                topic: "orders",
            },
            state,
        )
        .unwrap()
            > 0
    })
}

/// Asserts that the error is transient: another transaction blocked this one and may be gone at the
/// next attempt.
fn may_pass(error: &Error) {
    let passes = error.is_retryable() && !error.is_disconnected();
    assert!(passes, "{error:?}");
}

/// Asserts that the error is reported as a lost connection.
fn is_lost(error: &Error) {
    let is_lost = error.is_retryable() && error.is_disconnected();
    assert!(is_lost, "{error:?}");
}
