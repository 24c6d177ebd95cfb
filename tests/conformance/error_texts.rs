//! Errors whose text cannot be formatted.

use std::error::Error as StdError;
use std::fmt;

use persisting_message_bus::handler::HandlerError;
use persisting_message_bus::operate::FailureState;
use persisting_message_bus::{FailurePolicy, Message, MessageConsumer};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::topics::Orders;

use super::failing::{after, failed, place};

struct Explosive;

impl fmt::Display for Explosive {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("a bug in the text of an error")
    }
}

impl fmt::Debug for Explosive {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Explosive")
    }
}

impl StdError for Explosive {}

pub fn a_message_is_parked_when_the_text_of_its_error_panics<D: Database>() {
    let (_database, mut bus) = place::<D>(1..4);
    let mut consumer = MessageConsumer::<Orders>::external("all", |_: &Message<Orders>| {
        Err::<(), HandlerError>(Box::new(Explosive))
    })
    .retry(after(2, FailurePolicy::Park));
    // The result is dropped because printing such an error would panic, too.
    for _ in 0..6 {
        drop(consumer.handle_page(&mut bus));
    }
    let parked = failed(&mut bus, "all", FailureState::Parked);
    assert!(parked[0].error.contains("formatting the error failed"));
}
