use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use uuid::Uuid;

use crate::error::Error;
use crate::memory::shared::Shared;
use crate::message::raw::{RawMessage, StoredMessage};
use crate::message::slot::Slot;
use crate::message::storable::{Dispatched, Storable};
use crate::message::{flow_id, time};
use crate::position::Position;
use crate::store::page_request::PageRequest;
use crate::store::part::Part;
use crate::store::place::MessageAt;
use crate::store::repository::{MessageRepository, OnDuplicate};
use crate::store::slot_observations::SlotObservations;
use crate::store::source::FlowMessage;
use crate::store::source::MessageSource;

/// Keeps messages in memory. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct InMemoryMessageRepository {
    pub(super) log: Shared<Log>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Log {
    /// The message at position `n` has the index `n - 1`.
    messages: Vec<Arc<RawMessage>>,
    ids: Arc<HashSet<Uuid>>,
}

impl InMemoryMessageRepository {
    /// Creates an empty repository.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns all messages of all topics, in the order of their positions.
    #[must_use]
    pub fn messages(&self) -> Vec<RawMessage> {
        self.log.read(|log| {
            log.messages
                .iter()
                .map(|message| (**message).clone())
                .collect()
        })
    }
}

impl Log {
    fn append(&mut self, messages: Storable<'_>, duplicates: OnDuplicate) -> Result<usize, Error> {
        let messages = messages.messages();
        let ids = Arc::make_mut(&mut self.ids);
        let mut new = Vec::with_capacity(messages.len());
        for message in messages {
            if ids.insert(message.message_id) {
                new.push(Arc::new(RawMessage {
                    published_at: time::storable(message.published_at),
                    ..message.clone()
                }));
            } else if duplicates == OnDuplicate::Fail {
                for persisted in &new {
                    ids.remove(&persisted.message_id);
                }
                return Err(Error::duplicate_message(message));
            }
        }
        let count = new.len();
        self.messages.append(&mut new);
        Ok(count)
    }

    fn last(&self) -> Position {
        position(self.messages.len())
    }

    /// Returns the messages after `after` and up to `up_to` with their positions.
    fn range(
        &self,
        after: Position,
        up_to: Position,
    ) -> impl Iterator<Item = (Position, &Arc<RawMessage>)> {
        let first = usize::try_from(after.get()).unwrap_or(0);
        let numbered = self.messages.iter().enumerate().skip(first);
        numbered
            .map(|(index, message)| (position(index + 1), message))
            .take_while(move |(position, _)| *position <= up_to)
    }
}

/// Vectors have no more than `isize::MAX` entries.
fn position(count: usize) -> Position {
    Position::new(i64::try_from(count).unwrap_or(i64::MAX))
}

impl MessageSource for InMemoryMessageRepository {
    /// Returns the last position: only one writer is active at a time, so nothing before it is in
    /// flight.
    fn high_water_mark(
        &mut self,
        _topic: &str,
        _observations: &mut SlotObservations,
    ) -> Result<Position, Error> {
        self.last_position()
    }

    fn head(&mut self, topic: &str, high_water_mark: Position) -> Result<MessageAt, Error> {
        Ok(self.log.read(|log| {
            let up_to = usize::try_from(high_water_mark.get()).unwrap_or(0);
            let visible = &log.messages[..log.messages.len().min(up_to)];
            let last = visible.iter().rposition(|message| message.topic == topic);
            last.map(|index| MessageAt {
                position: position(index + 1),
                message_id: Some(visible[index].message_id),
            })
            .unwrap_or_default()
        }))
    }

    fn check_part(&mut self, _part: Part) -> Result<(), Error> {
        Ok(())
    }

    fn slots_after(
        &mut self,
        topic: &str,
        after: Position,
        up_to: Position,
        limit: usize,
    ) -> Result<Vec<(Position, Slot)>, Error> {
        Ok(self.log.read(|log| {
            log.range(after, up_to)
                .filter(|(_, message)| message.topic == topic)
                .map(|(position, message)| (position, message.key_slot))
                .take(limit)
                .collect()
        }))
    }

    fn last_position(&mut self) -> Result<Position, Error> {
        Ok(self.log.read(Log::last))
    }

    fn flow_messages(
        &mut self,
        correlation_id: &str,
        limit: usize,
    ) -> Result<Vec<FlowMessage>, Error> {
        let Some(correlation_id) = flow_id::storable(correlation_id) else {
            return Ok(Vec::new());
        };
        let correlation_id = &*correlation_id;
        let started_by = Uuid::try_parse(correlation_id).ok();
        Ok(self.log.read(|log| {
            let all = || log.range(Position::START, Position::LAST);
            let names_it =
                |message: &RawMessage| message.correlation_id.as_deref() == Some(correlation_id);
            let first = all().filter(|(_, message)| {
                Some(message.message_id) == started_by && !names_it(message)
            });
            let others = all().filter(|(_, message)| names_it(message)).take(limit);
            first
                .chain(others)
                .map(|(position, message)| FlowMessage::of(&message.stored_at(position)))
                .collect()
        }))
    }

    fn read_page(
        &mut self,
        request: &PageRequest<'_>,
        receive: &mut dyn FnMut(&StoredMessage<'_>) -> ControlFlow<()>,
    ) -> Result<MessageAt, Error> {
        let page: Vec<_> = self.log.read(|log| {
            log.range(request.after, request.up_to)
                .filter(|(_, message)| message.topic == request.topic)
                .filter(|(position, message)| request.part.includes(*position, message.key_slot))
                .filter(|(_, message)| request.message_types.include(&message.message_type))
                .take(request.limit)
                .map(|(position, message)| (position, Arc::clone(message)))
                .collect()
        });
        let mut end = None;
        for (position, message) in &page {
            end = Some(MessageAt {
                position: *position,
                message_id: Some(message.message_id),
            });
            if receive(&message.stored_at(*position)).is_break() {
                return Ok(end.unwrap_or_default());
            }
        }
        Ok(request.end(end, page.len()))
    }
}

impl MessageRepository for InMemoryMessageRepository {
    fn persist(
        &mut self,
        messages: &[RawMessage],
        duplicates: OnDuplicate,
    ) -> Result<usize, Error> {
        let messages = Storable::check(messages)?;
        self.log.write(|log| log.append(messages, duplicates))
    }

    fn persist_dispatched(
        &mut self,
        messages: Dispatched<'_>,
        duplicates: OnDuplicate,
    ) -> Result<usize, Error> {
        let messages = Storable::check_dispatched(messages)?;
        self.log.write(|log| log.append(messages, duplicates))
    }
}
