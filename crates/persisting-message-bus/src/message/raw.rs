use std::borrow::Cow;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::message::slot::Slot;
use crate::message::stored_headers::StoredHeaders;
use crate::position::Position;

/// A message as it is persisted, before it has a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawMessage {
    /// The id of the message. A copy elsewhere keeps it.
    pub message_id: Uuid,
    /// The name of its topic.
    pub topic: Cow<'static, str>,
    /// Its stable wire name on the topic.
    pub message_type: Cow<'static, str>,
    /// The version of its schema, from 1 to 2,147,483,647.
    pub message_version: u32,
    /// The message, as JSON. Arrays and objects nest at most 127 levels deep.
    pub payload: String,
    /// Its headers, as a JSON object that nests at most 127 levels deep.
    pub headers: String,
    /// The time of recording, in the years 0 to 9999. A repository cuts off fractions of a
    /// microsecond, and keeps a leap second as the second after it.
    pub published_at: DateTime<Utc>,
    /// The id of the flow that it belongs to, which is also in the headers; `None` if it starts a
    /// flow. It has at most [`MAX_NAME_LENGTH`](crate::backend::MAX_NAME_LENGTH) characters, none
    /// of which is a control character or an invisible format character.
    pub correlation_id: Option<String>,
    /// The slot of its key, which is in the headers; [`Slot::NONE`] for a message without a key. A
    /// repository refuses a message with the slot of another key.
    pub key_slot: Slot,
}

/// A message as a source returns it: with its position, and with texts borrowed from the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredMessage<'a> {
    /// Its position in the repository.
    pub position: Position,
    /// The id of the message, which is the same everywhere.
    pub message_id: Uuid,
    /// The name of its topic.
    pub topic: &'a str,
    /// Its stable wire name on the topic.
    pub message_type: &'a str,
    /// The version of its schema; the first is 1.
    pub message_version: u32,
    /// The message, as JSON.
    pub payload: &'a str,
    /// Its headers, as a JSON object.
    pub headers: &'a str,
    /// The time of recording.
    pub published_at: DateTime<Utc>,
}

impl StoredMessage<'_> {
    /// Copies everything but the position, so that the message can be persisted elsewhere. The
    /// correlation id is that of the headers, in the form that
    /// [`Correlation::of_flow`](crate::Correlation::of_flow) describes. The slot is that of the key in
    /// the headers.
    #[must_use]
    pub fn to_raw(&self) -> RawMessage {
        let mut headers = StoredHeaders::of(self.headers);
        RawMessage {
            message_id: self.message_id,
            topic: Cow::Owned(self.topic.to_owned()),
            message_type: Cow::Owned(self.message_type.to_owned()),
            message_version: self.message_version,
            payload: self.payload.to_owned(),
            headers: self.headers.to_owned(),
            published_at: self.published_at,
            correlation_id: headers.flow().map(Cow::into_owned),
            key_slot: slot_of(headers.key()),
        }
    }
}

impl RawMessage {
    /// Returns the slot of the key in the headers.
    pub(crate) fn slot_of_headers(&self) -> Slot {
        slot_of(StoredHeaders::of(&self.headers).key())
    }

    /// Returns the message as a source that has it at `position` returns it.
    #[must_use]
    pub fn stored_at(&self, position: Position) -> StoredMessage<'_> {
        StoredMessage {
            position,
            message_id: self.message_id,
            topic: &self.topic,
            message_type: &self.message_type,
            message_version: self.message_version,
            payload: &self.payload,
            headers: &self.headers,
            published_at: self.published_at,
        }
    }
}

fn slot_of(key: Option<Cow<'_, str>>) -> Slot {
    key.map_or(Slot::NONE, |key| Slot::of(&key))
}
