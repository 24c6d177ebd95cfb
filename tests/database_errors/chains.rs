//! Errors of a database are found anywhere in the error chain that a handler returns.

use std::io;
use std::sync::Arc;

use diesel::ConnectionError;
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use persisting_message_bus::Error;
use persisting_message_bus::handler::HandlerError;
use persisting_message_bus::memory::InMemoryMessageBus;
use thiserror::Error as ThisError;

use super::{handle_first, is_attempted, said};

#[derive(Debug, ThisError)]
enum Booking {
    #[error("cannot book")]
    Storing(#[from] DieselError),
    #[error(transparent)]
    Transparent(Box<DieselError>),
    #[error("cannot book: {0}")]
    Boxed(#[source] Box<DieselError>),
    #[error("cannot book")]
    Shared(#[source] Arc<DieselError>),
    #[error("cannot pay")]
    Paying(#[source] Box<Booking>),
    #[error("cannot dispatch")]
    Dispatching(#[from] Error),
    #[error("cannot connect")]
    Connecting(#[from] ConnectionError),
    #[error("cannot connect")]
    Pool(#[from] diesel::r2d2::PoolError),
    #[error("cannot read")]
    Reading(#[source] io::Error),
    #[error("order 7 was sold: {0}")]
    Sold(&'static str),
}

/// Returns an error that is recognised by its kind only, and not by its text.
fn serialization_failure() -> DieselError {
    let text = Box::new("xyzzy".to_owned());
    DieselError::DatabaseError(DatabaseErrorKind::SerializationFailure, text)
}

/// Returns an error that is recognised by its text only, and not by its kind.
fn deadlock() -> DieselError {
    said("Verklemmung (Deadlock) entdeckt")
}

fn duplicate() -> DieselError {
    let text = Box::new("UNIQUE constraint failed: orders.number".to_owned());
    DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, text)
}

/// Returns the error of a consumer whose handler returns `cause` once, and whether that counted as
/// an attempt.
fn outcome(cause: impl Fn() -> HandlerError) -> (Error, bool) {
    let mut bus = InMemoryMessageBus::default();
    let handled = handle_first(&mut bus, |_| Err(cause()));
    match handled {
        Err(error) => {
            let is_attempted = is_attempted(&mut bus);
            (error, is_attempted)
        }
        // The message was parked at once.
        Ok(handled) => panic!("{handled} messages were handled after {:?}", cause()),
    }
}

fn is_no_attempt(cause: impl Fn() -> HandlerError) {
    let (error, is_attempted) = outcome(&cause);
    let passes = error.is_retryable() && !error.is_handler_failure();
    assert!(passes && !is_attempted, "{error:?}");
    let text = format!("{error:#}");
    assert!(text.contains(&cause().to_string()), "{text}");
}

fn is_an_attempt(cause: impl Fn() -> HandlerError) {
    let mut bus = InMemoryMessageBus::default();
    let handled = handle_first(&mut bus, |_| Err(cause()));
    assert!(is_attempted(&mut bus), "{:?}: {handled:?}", cause());
}

#[test]
fn errors_of_diesel_are_classified() {
    is_no_attempt(|| serialization_failure().into());
    is_no_attempt(|| deadlock().into());
    is_no_attempt(|| said("database is locked").into());
    is_no_attempt(|| DieselError::BrokenTransactionManager.into());
    is_an_attempt(|| duplicate().into());
    is_an_attempt(|| DieselError::NotFound.into());
    is_an_attempt(|| said("xyzzy").into());
}

#[test]
fn errors_wrapped_by_the_application_are_classified() {
    for cause in [serialization_failure, deadlock] {
        is_no_attempt(|| Booking::from(cause()).into());
        is_no_attempt(|| Booking::Boxed(Box::new(cause())).into());
        is_no_attempt(|| Booking::Shared(Arc::new(cause())).into());
        is_no_attempt(|| {
            let deep = Booking::Paying(Box::new(Booking::from(cause())));
            Booking::Paying(Box::new(deep)).into()
        });
        is_no_attempt(|| io::Error::other(cause()).into());
        is_no_attempt(|| Booking::Reading(io::Error::other(cause())).into());
    }
    is_an_attempt(|| Booking::from(duplicate()).into());
    is_an_attempt(|| Booking::Sold("deadlock detected").into());
}

#[test]
fn errors_wrapped_by_anyhow_are_classified() {
    for cause in [serialization_failure, deadlock] {
        is_no_attempt(|| anyhow::Error::from(cause()).context("cannot book").into());
        is_no_attempt(|| anyhow::Error::from(Booking::from(cause())).into());
    }
    // Here the wrapper replaces the error in the chain, so the error's type is hidden.
    is_no_attempt(|| anyhow::Error::from(deadlock()).into());
    is_no_attempt(|| Booking::Transparent(Box::new(deadlock())).into());
    is_an_attempt(|| {
        anyhow::Error::from(duplicate())
            .context("cannot book")
            .into()
    });
}

#[test]
fn errors_of_the_library_are_classified() {
    let hindered = || Error::transient("booking", "it is closed");
    let refused = || Error::permanent("booking", "no");
    is_no_attempt(|| hindered().into());
    is_no_attempt(|| Booking::from(hindered()).into());
    is_no_attempt(|| Booking::from(Error::from(deadlock())).into());
    is_no_attempt(|| Error::disconnected("booking", "gone").into());
    is_an_attempt(|| refused().into());
    is_an_attempt(|| Booking::from(refused()).into());
}

#[test]
fn connection_errors_are_classified() {
    let away = || ConnectionError::BadConnection("no route to host".to_owned());
    is_no_attempt(|| away().into());
    is_no_attempt(|| Booking::from(away()).into());
    is_no_attempt(|| diesel::r2d2::Error::ConnectionError(away()).into());
    is_no_attempt(|| diesel::r2d2::Error::QueryError(deadlock()).into());
    is_an_attempt(|| ConnectionError::InvalidConnectionUrl("?".to_owned()).into());
    let manager =
        diesel::r2d2::ConnectionManager::<diesel::PgConnection>::new("postgres://127.0.0.1:1/");
    let pool = diesel::r2d2::Pool::builder()
        .max_size(1)
        .connection_timeout(std::time::Duration::from_millis(10))
        .build_unchecked(manager);
    is_no_attempt(|| Booking::from(pool.get().map(drop).unwrap_err()).into());
}

#[test]
fn an_error_of_the_library_keeps_its_text() {
    let (error, _) = outcome(|| Error::transient("booking", "it is closed").into());
    let text = format!("{error:#}");
    assert!(text.contains("failed while booking"), "{text}");
}

#[test]
fn an_error_of_the_application_comes_with_its_message() {
    let (error, _) = outcome(|| Booking::from(deadlock()).into());
    let text = format!("{error:#}");
    for part in [
        "OrderPlaced at position 1",
        "the cause is temporary",
        "cannot book",
        "Verklemmung",
    ] {
        assert!(text.contains(part), "{text}");
    }
}
