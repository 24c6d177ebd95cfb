use std::borrow::Cow;

use super::statement::Names;

type Name = Cow<'static, str>;

/// The names of the tables and their columns.
///
/// The default is what [`migrate`](super::migrate) creates. Names are always quoted, so they are
/// written exactly as the database has them.
///
/// ```
/// use persisting_message_bus::diesel::TableSchema;
///
/// let mut schema = TableSchema::default();
/// schema.messages.table = "domain_events".into();
/// schema.messages.payload = "body".into();
/// ```
///
/// Wherever a connection is handed in, `&mut schema.on(&mut connection)` can be, too.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TableSchema {
    /// The table of messages.
    pub messages: MessageTable,
    /// The table of cursors and leases.
    pub consumer_state: ConsumerStateTable,
    /// The table of messages that failed.
    pub failures: FailureTable,
    /// The table of messages from outside.
    pub inbox: InboxTable,
    /// The table of the publishers' slots, which MySQL and MariaDB need.
    pub publisher_slots: PublisherSlotsTable,
}

/// The names of the message table and its columns.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MessageTable {
    /// The table, `public_messages`.
    pub table: Name,
    /// The position: an auto-incremented integer key, `id`.
    pub id: Name,
    /// A text with a unique index, `message_id`.
    pub message_id: Name,
    /// A text, `topic`. There has to be an index on it and the position.
    pub topic: Name,
    /// A text, `message_type`.
    pub message_type: Name,
    /// An integer, `message_version`. `None` for a table without it: its messages are all read as
    /// version 1.
    pub message_version: Option<Name>,
    /// A text or null, `correlation_id`. There should be an index on it. `None` for a table without it:
    /// its flows cannot be read.
    pub correlation_id: Option<Name>,
    /// A text, `payload`.
    pub payload: Name,
    /// A text, `headers`.
    pub headers: Name,
    /// A time, `published_at`.
    pub published_at: Name,
    /// The name of the index on topic and position, `PRIMARY`, which MySQL and MariaDB have to be told
    /// to use. Other databases do not look at it.
    pub topic_index: Name,
}

/// The names of the consumer-state table and its columns.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumerStateTable {
    /// The table, `message_consumer_state`.
    pub table: Name,
    /// A text, `consumer`. With the topic it is the primary key; on PostgreSQL, with the topic and the
    /// epoch.
    pub consumer: Name,
    /// A text, `topic`.
    pub topic: Name,
    /// An integer or null, `cursor`.
    pub cursor: Name,
    /// A text or null, `lease_owner`.
    pub lease_owner: Name,
    /// An integer, by default 0, `lease_epoch`.
    pub lease_epoch: Name,
    /// A time or null, `lease_expires_at`.
    pub lease_expires_at: Name,
    /// An integer or null, `replay_until`.
    pub replay_until: Name,
    /// A time or null, `paused_at`.
    pub paused_at: Name,
    /// A time or null, `cursor_moved_at`.
    pub cursor_moved_at: Name,
    /// A text of up to 64 characters or null, `work`.
    pub work: Name,
    /// An integer or null, `suspect_until`.
    pub suspect_until: Name,
}

/// The names of the table of failed messages and its columns.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FailureTable {
    /// The table, `message_failures`.
    pub table: Name,
    /// A text, `consumer`; with the topic and the position it is the primary key.
    pub consumer: Name,
    /// A text, `topic`.
    pub topic: Name,
    /// An integer, `position`.
    pub position: Name,
    /// A text or null, `message_id`.
    pub message_id: Name,
    /// A text or null, `message_type`.
    pub message_type: Name,
    /// A text, `state`. There should be an index on consumer, topic, state and position.
    pub state: Name,
    /// An integer, `attempts`.
    pub attempts: Name,
    /// A text of up to 16,000 characters, `error`.
    pub error: Name,
    /// A time, `first_failed_at`.
    pub first_failed_at: Name,
    /// A time, `last_failed_at`.
    pub last_failed_at: Name,
}

/// The names of the table of messages from outside and its columns.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InboxTable {
    /// The table, `message_inbox`.
    pub table: Name,
    /// A text, `consumer`; with the source and the message id it is the primary key.
    pub consumer: Name,
    /// A text, `source`.
    pub source: Name,
    /// A text, `message_id`.
    pub message_id: Name,
    /// A time, `received_at`.
    pub received_at: Name,
}

/// The names of the table of publishers' slots and its columns.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PublisherSlotsTable {
    /// The table, `message_publisher_slots`.
    pub table: Name,
    /// A text, `topic`; with the slot it is the primary key.
    pub topic: Name,
    /// An integer, `slot`.
    pub slot: Name,
}

impl TableSchema {
    pub(super) const DEFAULT: &'static Self = &Self {
        messages: MessageTable {
            table: Cow::Borrowed("public_messages"),
            id: Cow::Borrowed("id"),
            message_id: Cow::Borrowed("message_id"),
            topic: Cow::Borrowed("topic"),
            message_type: Cow::Borrowed("message_type"),
            message_version: Some(Cow::Borrowed("message_version")),
            correlation_id: Some(Cow::Borrowed("correlation_id")),
            payload: Cow::Borrowed("payload"),
            headers: Cow::Borrowed("headers"),
            published_at: Cow::Borrowed("published_at"),
            topic_index: Cow::Borrowed("PRIMARY"),
        },
        consumer_state: ConsumerStateTable {
            table: Cow::Borrowed("message_consumer_state"),
            consumer: Cow::Borrowed("consumer"),
            topic: Cow::Borrowed("topic"),
            cursor: Cow::Borrowed("cursor"),
            lease_owner: Cow::Borrowed("lease_owner"),
            lease_epoch: Cow::Borrowed("lease_epoch"),
            lease_expires_at: Cow::Borrowed("lease_expires_at"),
            replay_until: Cow::Borrowed("replay_until"),
            paused_at: Cow::Borrowed("paused_at"),
            cursor_moved_at: Cow::Borrowed("cursor_moved_at"),
            work: Cow::Borrowed("work"),
            suspect_until: Cow::Borrowed("suspect_until"),
        },
        failures: FailureTable {
            table: Cow::Borrowed("message_failures"),
            consumer: Cow::Borrowed("consumer"),
            topic: Cow::Borrowed("topic"),
            position: Cow::Borrowed("position"),
            message_id: Cow::Borrowed("message_id"),
            message_type: Cow::Borrowed("message_type"),
            state: Cow::Borrowed("state"),
            attempts: Cow::Borrowed("attempts"),
            error: Cow::Borrowed("error"),
            first_failed_at: Cow::Borrowed("first_failed_at"),
            last_failed_at: Cow::Borrowed("last_failed_at"),
        },
        inbox: InboxTable {
            table: Cow::Borrowed("message_inbox"),
            consumer: Cow::Borrowed("consumer"),
            source: Cow::Borrowed("source"),
            message_id: Cow::Borrowed("message_id"),
            received_at: Cow::Borrowed("received_at"),
        },
        publisher_slots: PublisherSlotsTable {
            table: Cow::Borrowed("message_publisher_slots"),
            topic: Cow::Borrowed("topic"),
            slot: Cow::Borrowed("slot"),
        },
    };

    /// The connection with these tables, as a bus.
    pub fn on<'a, C>(&'a self, connection: &'a mut C) -> OnTables<'a, C> {
        OnTables {
            connection,
            schema: self,
        }
    }
}

impl Default for TableSchema {
    fn default() -> Self {
        Self::DEFAULT.clone()
    }
}

/// A Diesel connection whose tables have the names of a [`TableSchema`].
pub struct OnTables<'a, C> {
    pub(super) connection: &'a mut C,
    pub(super) schema: &'a TableSchema,
}

impl Names for MessageTable {
    fn name(&self, key: &str) -> Option<&str> {
        Some(match key {
            "table" => &self.table,
            "id" => &self.id,
            "message_id" => &self.message_id,
            "topic" => &self.topic,
            "message_type" => &self.message_type,
            "message_version" => self.message_version.as_deref()?,
            "correlation_id" => self.correlation_id.as_deref()?,
            "payload" => &self.payload,
            "headers" => &self.headers,
            "published_at" => &self.published_at,
            "topic_index" => &self.topic_index,
            _ => return None,
        })
    }
}

impl Names for ConsumerStateTable {
    fn name(&self, key: &str) -> Option<&str> {
        Some(match key {
            "table" => &self.table,
            "consumer" => &self.consumer,
            "topic" => &self.topic,
            "cursor" => &self.cursor,
            "lease_owner" => &self.lease_owner,
            "lease_epoch" => &self.lease_epoch,
            "lease_expires_at" => &self.lease_expires_at,
            "replay_until" => &self.replay_until,
            "paused_at" => &self.paused_at,
            "cursor_moved_at" => &self.cursor_moved_at,
            "work" => &self.work,
            "suspect_until" => &self.suspect_until,
            _ => return None,
        })
    }
}

impl Names for FailureTable {
    fn name(&self, key: &str) -> Option<&str> {
        Some(match key {
            "table" => &self.table,
            "consumer" => &self.consumer,
            "topic" => &self.topic,
            "position" => &self.position,
            "message_id" => &self.message_id,
            "message_type" => &self.message_type,
            "state" => &self.state,
            "attempts" => &self.attempts,
            "error" => &self.error,
            "first_failed_at" => &self.first_failed_at,
            "last_failed_at" => &self.last_failed_at,
            _ => return None,
        })
    }
}

/// The consumer state's names; those of failures begin with `failures.`
impl Names for TableSchema {
    fn name(&self, key: &str) -> Option<&str> {
        match key.strip_prefix("failures.") {
            Some(key) => self.failures.name(key),
            None => self.consumer_state.name(key),
        }
    }
}

impl Names for InboxTable {
    fn name(&self, key: &str) -> Option<&str> {
        Some(match key {
            "table" => &self.table,
            "consumer" => &self.consumer,
            "source" => &self.source,
            "message_id" => &self.message_id,
            "received_at" => &self.received_at,
            _ => return None,
        })
    }
}

impl Names for PublisherSlotsTable {
    fn name(&self, key: &str) -> Option<&str> {
        Some(match key {
            "table" => &self.table,
            "topic" => &self.topic,
            "slot" => &self.slot,
            _ => return None,
        })
    }
}
