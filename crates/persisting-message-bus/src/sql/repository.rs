use std::ops::ControlFlow;

use uuid::Uuid;

use crate::error::Error;
use crate::message::flow_id;
use crate::message::raw::{RawMessage, StoredMessage};
use crate::message::slot::Slot;
use crate::message::storable::{Dispatched, Storable};
use crate::position::Position;
use crate::sql::backend::{PublishBackend, StoreBackend};
use crate::sql::executor::on_sync::OnSync;
use crate::sql::executor::{Executor, now};
use crate::sql::own_transactions::{abandon, is_broken};
use crate::sql::publish_errors::persisting;
use crate::sql::schema::TableSchema;
use crate::sql::statements::{flows, messages};
use crate::sql::stretches;
use crate::sql::tables::{ConsumerTables, Tables, on_tables};
use crate::sql::watch::connections::Unwatched;
use crate::store::ahead::Ahead;
use crate::store::page_request::PageRequest;
use crate::store::part::Part;
use crate::store::place::MessageAt;
use crate::store::repository::{MessageRepository, OnDuplicate};
use crate::store::slot_observations::SlotObservations;
use crate::store::source::FlowMessage;
use crate::store::source::{Backlog, MessageSource};

#[diagnostic::do_not_recommend]
impl<T: ConsumerTables> MessageSource for T {
    fn high_water_mark(
        &mut self,
        topic: &str,
        observations: &mut SlotObservations,
    ) -> Result<Position, Error> {
        on_tables(self, |connection, schema| {
            T::Backend::high_water_mark(connection, schema, topic, observations)
        })
    }

    fn high_water_mark_beyond(
        &mut self,
        topic: &str,
        after: Position,
        observations: &mut SlotObservations,
    ) -> Result<Option<Position>, Error> {
        on_tables(self, |connection, schema| {
            T::Backend::high_water_mark_beyond(connection, schema, topic, after, observations)
        })
    }

    fn head(&mut self, topic: &str, high_water_mark: Position) -> Result<MessageAt, Error> {
        on_tables(self, |connection, schema| {
            let asked = &mut OnSync(connection);
            now(messages::head(
                asked,
                &schema.messages,
                topic,
                high_water_mark,
            ))
        })
    }

    fn head_and_ahead(
        &mut self,
        page: &PageRequest<'_>,
    ) -> Result<(MessageAt, Option<Ahead>), Error> {
        on_tables(self, |connection, schema| {
            T::Backend::head_and_ahead(connection, &schema.messages, page)
        })
    }

    fn ids_at(
        &mut self,
        topic: &str,
        positions: [Position; 2],
    ) -> Result<[Option<Uuid>; 2], Error> {
        on_tables(self, |connection, schema| {
            messages::ids_at(connection, &schema.messages, topic, positions)
        })
    }

    fn check_part(&mut self, part: Part) -> Result<(), Error> {
        let (_, schema) = self.parts();
        match part {
            Part::Keys(_) if schema.messages.key_slot.is_none() => {
                let table = &schema.messages.table;
                let problem = format!(
                    "the table \"{table}\" has no column for the slots of keys: add it, and name it in \
                     TableSchema.messages.key_slot"
                );
                Err(Error::permanent("reading messages by their keys", problem))
            }
            Part::Whole | Part::Keys(_) | Part::Positions(_) => Ok(()),
        }
    }

    fn slots_after(
        &mut self,
        topic: &str,
        after: Position,
        up_to: Position,
        limit: usize,
    ) -> Result<Vec<(Position, Slot)>, Error> {
        on_tables(self, |connection, schema| {
            let between = [after, up_to];
            messages::slots_after(connection, &schema.messages, topic, between, limit)
        })
    }

    fn last_position(&mut self) -> Result<Position, Error> {
        on_tables(self, |connection, schema| {
            T::Backend::last_position(connection, schema)
        })
    }

    fn position_of(&mut self, topic: &str, message_id: Uuid) -> Result<Option<Position>, Error> {
        on_tables(self, |connection, schema| {
            messages::position_of(connection, &schema.messages, topic, message_id)
        })
    }

    fn backlog(&mut self, topic: &str, after: Position) -> Result<Backlog, Error> {
        on_tables(self, |connection, schema| {
            messages::backlog(connection, &schema.messages, topic, after)
        })
    }

    fn flow_messages(
        &mut self,
        correlation_id: &str,
        limit: usize,
    ) -> Result<Vec<FlowMessage>, Error> {
        on_tables(self, |connection, schema| {
            match flow_id::storable(correlation_id) {
                Some(id) => flows::messages(connection, &schema.messages, &id, limit),
                None => Ok(Vec::new()),
            }
        })
    }

    fn change_token(&mut self) -> Result<Option<i64>, Error> {
        on_tables(self, |connection, schema| {
            T::Backend::change_token(connection, schema)
        })
    }

    fn abandon_source(&mut self) {
        abandon(&mut OnSync(self.parts().0));
    }

    fn read_page(
        &mut self,
        request: &PageRequest<'_>,
        receive: &mut dyn FnMut(&StoredMessage<'_>) -> ControlFlow<()>,
    ) -> Result<MessageAt, Error> {
        stretches::read_page(self, request, receive)
    }
}

#[diagnostic::do_not_recommend]
impl<T: Tables> MessageRepository for T {
    fn persist(
        &mut self,
        messages: &[RawMessage],
        duplicates: OnDuplicate,
    ) -> Result<usize, Error> {
        persist(self, Storable::check(messages)?, duplicates)
    }

    fn abandon_repository(&mut self) {
        abandon(&mut OnSync(self.parts().0));
    }

    fn persist_dispatched(
        &mut self,
        messages: Dispatched<'_>,
        duplicates: OnDuplicate,
    ) -> Result<usize, Error> {
        persist(self, Storable::check_dispatched(messages)?, duplicates)
    }
}

fn persist<T: Tables>(
    tables: &mut T,
    messages: Storable<'_>,
    duplicates: OnDuplicate,
) -> Result<usize, Error> {
    let messages = messages.messages();
    if messages.is_empty() {
        return Ok(0);
    }
    on_tables(tables, |connection, schema| {
        now(publish(
            &mut OnSync(connection),
            schema,
            messages,
            duplicates,
        ))
    })
}

/// Persists messages on any connection.
pub(crate) async fn publish<E>(
    executor: &mut E,
    schema: &TableSchema,
    messages: &[RawMessage],
    duplicates: OnDuplicate,
) -> Result<usize, Error>
where
    E: Executor,
    E::Backend: PublishBackend,
{
    if schema.messages.message_version.is_none()
        && let Some(message) = messages.iter().find(|message| message.message_version > 1)
    {
        let problem = "the table has no column for its version";
        return Err(Error::unstorable(message, problem));
    }
    // Diesel itself refuses only to begin a transaction. A message written in a transaction that no caller
    // ends would never be committed.
    if is_broken(executor) {
        let problem = "the connection is of no use any more: its transaction was lost, or the future of \
            an earlier call was dropped before it was done; use another connection";
        return Err(Error::disconnected(persisting(messages), problem));
    }
    let unwatched = Unwatched::new(executor);
    let persisted = E::Backend::persist(unwatched.executor, schema, messages, duplicates).await;
    unwatched.end(&persisted);
    persisted
}
