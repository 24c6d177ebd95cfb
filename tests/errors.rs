//! Errors as people read them, in logs and on terminals.

use std::error::Error as _;

use persisting_message_bus::memory::InMemoryMessageBus;
use persisting_message_bus::{Error, Message, MessageConsumer, MessageDispatcher};
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};

fn failed_handler() -> Error {
    let mut bus = InMemoryMessageBus::default();
    let orders = MessageDispatcher::<Orders>::new();
    orders.dispatch(&mut bus, &OrderPlaced::number(1)).unwrap();
    let mut consumer = MessageConsumer::<Orders>::external("mailer", |_: &Message<Orders>| {
        Err(std::io::Error::other("no route to host").into())
    });
    consumer.handle_page(&mut bus).unwrap_err()
}

#[test]
fn a_cause_is_printed_once() {
    let error = failed_handler();
    let own = error.to_string();
    assert!(!own.contains("no route"), "{own}");
    assert_eq!(error.source().unwrap().to_string(), "no route to host");
    assert_eq!(format!("{error:#}"), format!("{own}: no route to host"));
}

#[test]
fn main_prints_the_whole_chain_on_one_line() {
    let error = failed_handler();
    assert_eq!(format!("{error:?}"), format!("{error:#}"));
    assert!(!format!("{error:?}").contains('\n'));
}

#[test]
fn an_error_text_starts_with_the_consumer() {
    let text = failed_handler().to_string();
    assert!(
        text.starts_with("consumer \"mailer\": the handler failed on the OrderPlaced"),
        "{text}"
    );
}

#[test]
fn an_error_is_small_enough_to_be_returned_everywhere() {
    assert_eq!(size_of::<Error>(), size_of::<usize>());
}
