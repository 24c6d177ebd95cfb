use std::borrow::Cow;
use std::ops::ControlFlow;

use persisting_message_bus::backend::{
    MessageAt, MessageRepository, MessageSource, PageRequest, RawMessage, SlotObservations,
    StoredMessage,
};
use persisting_message_bus::{Error, OnDuplicate, Position};

/// A repository that puts messages on these topics in turn, whatever the topic of their type is.
pub struct OnTopics<'a, C> {
    pub connection: &'a mut C,
    pub topics: &'a [String],
}

impl<C: MessageRepository> MessageRepository for OnTopics<'_, C> {
    fn persist(
        &mut self,
        messages: &[RawMessage],
        duplicates: OnDuplicate,
    ) -> Result<usize, Error> {
        let messages = messages.iter().zip(self.topics.iter().cycle());
        let messages = messages.map(|(message, topic)| RawMessage {
            topic: Cow::Owned(topic.clone()),
            ..message.clone()
        });
        let messages: Vec<_> = messages.collect();
        self.connection.persist(&messages, duplicates)
    }
}

impl<C: MessageSource> MessageSource for OnTopics<'_, C> {
    fn high_water_mark(
        &mut self,
        topic: &str,
        observations: &mut SlotObservations,
    ) -> Result<Position, Error> {
        self.connection.high_water_mark(topic, observations)
    }

    fn head(&mut self, topic: &str, high_water_mark: Position) -> Result<MessageAt, Error> {
        self.connection.head(topic, high_water_mark)
    }

    fn last_position(&mut self) -> Result<Position, Error> {
        self.connection.last_position()
    }

    fn read_page(
        &mut self,
        request: &PageRequest<'_>,
        receive: &mut dyn FnMut(&StoredMessage<'_>) -> ControlFlow<()>,
    ) -> Result<MessageAt, Error> {
        self.connection.read_page(request, receive)
    }
}
