//! Parts that the cases share.

use std::ops::ControlFlow;

use persisting_message_bus::backend::{
    ConsumerRow, MessageConsumerState, MessageSource, PageRequest, RawMessage, TypeFilter,
};
use persisting_message_bus::handler::HandlerError;
use persisting_message_bus::operate::ConsumerKey;
use persisting_message_bus::{Message, MessageConsumer, MessageDispatcher, Position};
use persisting_message_bus_tests::topics::Orders;

/// The key of the consumer in most cases.
pub const CONSUMER: ConsumerKey<'static> = ConsumerKey {
    consumer: "all",
    topic: "orders",
};

pub fn orders() -> MessageDispatcher<Orders> {
    MessageDispatcher::new()
}

/// Handles pages until the consumer has caught up, and returns the numbers of the orders.
pub fn consume(bus: &mut impl TestBus, name: &str) -> Vec<u64> {
    let mut seen = Vec::new();
    let mut consumer = MessageConsumer::<Orders>::external(name, |message: &Message<Orders>| {
        seen.push(message.payload().order());
        Ok(())
    });
    while consumer.handle_page(bus).expect("a page") > 0 {}
    drop(consumer);
    seen
}

pub fn ignore<M>(_message: &M) -> Result<(), HandlerError> {
    Ok(())
}

/// Returns everything that is stored on a topic and visible to this connection.
pub fn stored(bus: &mut impl MessageSource, topic: &str) -> Vec<(Position, RawMessage)> {
    let request = PageRequest {
        topic,
        part: persisting_message_bus::backend::Part::Whole,
        message_types: TypeFilter::All,
        after: Position::START,
        up_to: Position::new(i64::MAX),
        limit: usize::MAX,
    };
    let mut messages = Vec::new();
    bus.read_page(&request, &mut |message| {
        messages.push((message.position, message.to_raw()));
        ControlFlow::Continue(())
    })
    .expect("a page");
    messages
}

/// Returns the row of a consumer that has run.
pub fn stored_consumer(bus: &mut impl MessageConsumerState, key: ConsumerKey<'_>) -> ConsumerRow {
    bus.stored_consumer(key).unwrap().unwrap()
}

/// The traits that the connections of all databases implement.
pub trait TestBus:
    persisting_message_bus::backend::MessageRepository
    + persisting_message_bus::backend::MessageSource
    + persisting_message_bus::backend::MessageConsumerState
{
}

impl<B> TestBus for B where
    B: persisting_message_bus::backend::MessageRepository
        + persisting_message_bus::backend::MessageSource
        + persisting_message_bus::backend::MessageConsumerState
{
}
