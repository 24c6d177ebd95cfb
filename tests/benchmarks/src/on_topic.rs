use std::borrow::Cow;
use std::ops::ControlFlow;

use persisting_message_bus::{
    Duplicates, Error, MessageRepository, MessageSource, PageRequest, Position, RawMessage,
    Sightings, StoredMessage,
};

/// A repository in which every topic is this one: there are more topics than types.
pub struct OnTopic<'a, C> {
    pub connection: &'a mut C,
    pub topic: &'a str,
}

impl<C: MessageRepository> MessageRepository for OnTopic<'_, C> {
    fn persist(&mut self, messages: &[RawMessage], duplicates: Duplicates) -> Result<usize, Error> {
        let on_topic = |message: &RawMessage| RawMessage {
            topic: Cow::Owned(self.topic.to_owned()),
            ..message.clone()
        };
        let messages: Vec<_> = messages.iter().map(on_topic).collect();
        self.connection.persist(&messages, duplicates)
    }
}

impl<C: MessageSource> MessageSource for OnTopic<'_, C> {
    fn horizon(&mut self, _: &str, sightings: &mut Sightings) -> Result<Position, Error> {
        self.connection.horizon(self.topic, sightings)
    }

    fn head(&mut self, _: &str, horizon: Position) -> Result<Position, Error> {
        self.connection.head(self.topic, horizon)
    }

    fn last_position(&mut self) -> Result<Position, Error> {
        self.connection.last_position()
    }

    fn read_page(
        &mut self,
        request: &PageRequest<'_>,
        receive: &mut dyn FnMut(&StoredMessage<'_>) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let topic = self.topic;
        self.connection
            .read_page(&PageRequest { topic, ..*request }, receive)
    }
}
