use std::ops::ControlFlow;

use diesel::connection::LoadConnection;
use uuid::Uuid;

use super::{OnTables, StoreBackend, TableSchema, flows, messages, watch};
use crate::raw_message::validate;
use crate::{
    Backlog, Duplicates, Error, FlowMessage, MessageRepository, MessageSource, PageRequest,
    Position, RawMessage, Sightings, StoredMessage,
};

impl<C> MessageSource for OnTables<'_, C>
where
    C: LoadConnection,
    C::Backend: StoreBackend<C>,
{
    fn horizon(&mut self, topic: &str, sightings: &mut Sightings) -> Result<Position, Error> {
        C::Backend::horizon(self.connection, self.schema, topic, sightings)
    }

    fn head(&mut self, topic: &str, horizon: Position) -> Result<Position, Error> {
        messages::head(self.connection, &self.schema.messages, topic, horizon)
    }

    fn last_position(&mut self) -> Result<Position, Error> {
        C::Backend::last_position(self.connection, self.schema)
    }

    fn position_of(&mut self, topic: &str, message_id: Uuid) -> Result<Option<Position>, Error> {
        messages::position_of(self.connection, &self.schema.messages, topic, message_id)
    }

    fn backlog(&mut self, topic: &str, after: Position) -> Result<Backlog, Error> {
        messages::backlog(self.connection, &self.schema.messages, topic, after)
    }

    fn flow_messages(
        &mut self,
        correlation_id: &str,
        limit: usize,
    ) -> Result<Vec<FlowMessage>, Error> {
        flows::messages(
            self.connection,
            &self.schema.messages,
            correlation_id,
            limit,
        )
    }

    fn changes(&mut self) -> Result<Option<i64>, Error> {
        C::Backend::changes(self.connection, self.schema)
    }

    fn read_page(
        &mut self,
        request: &PageRequest<'_>,
        receive: &mut dyn FnMut(&StoredMessage<'_>) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        C::Backend::read_page(self.connection, self.schema, request, receive)
    }
}

impl<C> MessageRepository for OnTables<'_, C>
where
    C: LoadConnection,
    C::Backend: StoreBackend<C>,
{
    fn persist(&mut self, messages: &[RawMessage], duplicates: Duplicates) -> Result<usize, Error> {
        validate(messages)?;
        if messages.is_empty() {
            return Ok(0);
        }
        if self.schema.messages.message_version.is_none()
            && let Some(message) = messages.iter().find(|message| message.message_version > 1)
        {
            let problem = "the table has no column for its version";
            return Err(Error::unstorable(message, problem));
        }
        let schema = self.schema;
        watch::unwatched(self.connection, |connection| {
            C::Backend::persist(connection, schema, messages, duplicates)
        })
    }
}

impl<C> MessageSource for C
where
    C: LoadConnection,
    C::Backend: StoreBackend<C>,
{
    fn horizon(&mut self, topic: &str, sightings: &mut Sightings) -> Result<Position, Error> {
        TableSchema::DEFAULT.on(self).horizon(topic, sightings)
    }

    fn head(&mut self, topic: &str, horizon: Position) -> Result<Position, Error> {
        TableSchema::DEFAULT.on(self).head(topic, horizon)
    }

    fn last_position(&mut self) -> Result<Position, Error> {
        TableSchema::DEFAULT.on(self).last_position()
    }

    fn position_of(&mut self, topic: &str, message_id: Uuid) -> Result<Option<Position>, Error> {
        TableSchema::DEFAULT.on(self).position_of(topic, message_id)
    }

    fn backlog(&mut self, topic: &str, after: Position) -> Result<Backlog, Error> {
        TableSchema::DEFAULT.on(self).backlog(topic, after)
    }

    fn flow_messages(
        &mut self,
        correlation_id: &str,
        limit: usize,
    ) -> Result<Vec<FlowMessage>, Error> {
        TableSchema::DEFAULT
            .on(self)
            .flow_messages(correlation_id, limit)
    }

    fn changes(&mut self) -> Result<Option<i64>, Error> {
        TableSchema::DEFAULT.on(self).changes()
    }

    fn read_page(
        &mut self,
        request: &PageRequest<'_>,
        receive: &mut dyn FnMut(&StoredMessage<'_>) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        TableSchema::DEFAULT.on(self).read_page(request, receive)
    }
}

impl<C> MessageRepository for C
where
    C: LoadConnection,
    C::Backend: StoreBackend<C>,
{
    fn persist(&mut self, messages: &[RawMessage], duplicates: Duplicates) -> Result<usize, Error> {
        TableSchema::DEFAULT.on(self).persist(messages, duplicates)
    }
}
