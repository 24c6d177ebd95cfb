use std::borrow::Cow;
use std::ops::ControlFlow;

use persisting_message_bus::{
    Duplicates, Error, MessageRepository, MessageSource, PageRequest, Position, RawMessage,
    Sightings, StoredMessage,
};

/// A repository in which messages go on these topics in turn, whatever topic their type is on.
pub struct OnTopics<'a, C> {
    pub connection: &'a mut C,
    pub topics: &'a [String],
}

impl<C: MessageRepository> MessageRepository for OnTopics<'_, C> {
    fn persist(&mut self, messages: &[RawMessage], duplicates: Duplicates) -> Result<usize, Error> {
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
    fn horizon(&mut self, topic: &str, sightings: &mut Sightings) -> Result<Position, Error> {
        self.connection.horizon(topic, sightings)
    }

    fn head(&mut self, topic: &str, horizon: Position) -> Result<Position, Error> {
        self.connection.head(topic, horizon)
    }

    fn last_position(&mut self) -> Result<Position, Error> {
        self.connection.last_position()
    }

    fn read_page(
        &mut self,
        request: &PageRequest<'_>,
        receive: &mut dyn FnMut(&StoredMessage<'_>) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        self.connection.read_page(request, receive)
    }
}
