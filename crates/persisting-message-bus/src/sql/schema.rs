use crate::sql::dialect::Names;
use crate::sql::table_names::{Layout, Name, OptionalName, table_names};
use crate::store::segment::Segment;

/// The names of the tables and their columns.
///
/// The default is what [`migrate`](super::migrate) creates. Names are always quoted, so they are
/// written exactly as the database has them.
///
/// ```
/// use persisting_message_bus::sql::TableSchema;
///
/// let mut schema = TableSchema::default();
/// schema.messages.table = "domain_events".into();
/// schema.messages.payload = "body".into();
/// ```
///
/// Pass `&mut schema.bind(&mut connection)` wherever a connection is expected.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TableSchema {
    /// The table of messages.
    pub messages: MessageTable,
    /// The table of cursors and leases.
    pub consumer_state: ConsumerStateTable,
    /// The table of the segments of consumers that are divided.
    pub segments: SegmentTable,
    /// The table of failed messages.
    pub failures: FailureTable,
    /// The table of messages from outside.
    pub inbox: InboxTable,
    /// The table of the publishers' slots, which MySQL and MariaDB need.
    pub publisher_slots: PublisherSlotsTable,
    /// Whether the application states that it uses one node: see `on_one_node`.
    pub(super) is_on_one_node: bool,
    /// Whether the message table must have the guard: see `with_foreign_inserts`.
    pub(super) has_foreign_inserts: bool,
}

table_names! {
    /// The names of the message table and its columns.
    MessageTable {
        /// The table, `public_messages`.
        table: Name = "public_messages",
        /// The position: an auto-incremented integer key, `id`.
        id: Name = "id",
        /// A text with a unique index, `message_id`.
        message_id: Name = "message_id",
        /// A text, `topic`. The table must have an index on topic and position.
        topic: Name = "topic",
        /// A text, `message_type`.
        message_type: Name = "message_type",
        /// An integer, `message_version`. `None` for a table that has no such column: all its
        /// messages are read as version 1.
        message_version: OptionalName = "message_version",
        /// A text or null, `correlation_id`. The column should have an index. `None` for a table
        /// that has no such column: its flows cannot be read.
        correlation_id: OptionalName = "correlation_id",
        /// An integer from -1 to 32,767, by default -1, `key_slot`. `None` for a table that has no
        /// such column: the slots of its messages are not stored.
        key_slot: OptionalName = "key_slot",
        /// A text, `payload`.
        payload: Name = "payload",
        /// A text, `headers`.
        headers: Name = "headers",
        /// A time, `published_at`.
        published_at: Name = "published_at",
        /// The name of the index on topic and position, `PRIMARY`. The library tells MySQL and
        /// MariaDB to use this index. Other databases ignore the name.
        topic_index: Name = "PRIMARY",
    }

    /// The names of the consumer-state table and its columns.
    ConsumerStateTable {
        /// The table, `message_consumer_state`.
        table: Name = "message_consumer_state",
        /// A text, `consumer`. The primary key consists of consumer and topic; on PostgreSQL, of
        /// consumer, topic and epoch.
        consumer: Name = "consumer",
        /// A text, `topic`.
        topic: Name = "topic",
        /// An integer or null, `cursor`.
        cursor: Name = "cursor",
        /// A text or null, `lease_owner`.
        lease_owner: Name = "lease_owner",
        /// An integer, by default 0, `lease_epoch`.
        lease_epoch: Name = "lease_epoch",
        /// A time or null, `lease_expires_at`.
        lease_expires_at: Name = "lease_expires_at",
        /// An integer or null, `replay_until`.
        replay_until: Name = "replay_until",
        /// A time or null, `paused_at`.
        paused_at: Name = "paused_at",
        /// A time or null, `cursor_moved_at`.
        cursor_moved_at: Name = "cursor_moved_at",
        /// A text of up to 64 characters or null, `work`.
        work: Name = "work",
        /// An integer or null, `suspect_until`.
        suspect_until: Name = "suspect_until",
        /// An integer or null, `anchor_position`.
        anchor_position: Name = "anchor_position",
        /// A text of 36 characters or null, `anchor_id`.
        anchor_id: Name = "anchor_id",
        /// A text or null, `source`.
        source: Name = "source",
        /// A text or null, `event_set`.
        event_set: Name = "event_set",
        /// A text of up to 64 characters or null, `division`. `None` for a table that has no such
        /// column: its consumers cannot be divided into segments.
        division: OptionalName = "division",
    }

    /// The names of the table of segments and its columns. Only consumers that are divided use it.
    SegmentTable {
        /// The table, `message_consumer_segments`.
        table: Name = "message_consumer_segments",
        /// A text of up to 268 characters, `segment`: the consumer's name, a slash, the number of
        /// the segment and how many there are. The primary key consists of segment and topic; on
        /// PostgreSQL, of segment, topic and epoch.
        consumer: Name = "segment",
        /// A text, `topic`.
        topic: Name = "topic",
        /// The consumer's name, a text, `consumer`. SQLite, MySQL and MariaDB need an index on this
        /// column and the topic, because each look for work reads the consumer's segments.
        of_consumer: Name = "consumer",
        /// An integer, `slot_from`.
        slot_from: Name = "slot_from",
        /// An integer, `slot_to`.
        slot_to: Name = "slot_to",
        /// An integer or null, `cursor`.
        cursor: Name = "cursor",
        /// A text or null, `lease_owner`.
        lease_owner: Name = "lease_owner",
        /// An integer, by default 0, `lease_epoch`.
        lease_epoch: Name = "lease_epoch",
        /// A time or null, `lease_expires_at`.
        lease_expires_at: Name = "lease_expires_at",
        /// An integer or null, `replay_until`.
        replay_until: Name = "replay_until",
        /// A time or null, `paused_at`.
        paused_at: Name = "paused_at",
        /// A time or null, `cursor_moved_at`.
        cursor_moved_at: Name = "cursor_moved_at",
        /// A text of up to 64 characters or null, `work`.
        work: Name = "work",
        /// An integer or null, `suspect_until`.
        suspect_until: Name = "suspect_until",
        /// An integer or null, `anchor_position`.
        anchor_position: Name = "anchor_position",
        /// A text of 36 characters or null, `anchor_id`.
        anchor_id: Name = "anchor_id",
        /// A text or null, `source`.
        source: Name = "source",
        /// A text or null, `event_set`.
        event_set: Name = "event_set",
    }

    /// The names of the table of failed messages and its columns.
    FailureTable {
        /// The table, `message_failures`.
        table: Name = "message_failures",
        /// A text, `consumer`. The primary key consists of consumer, topic and position.
        consumer: Name = "consumer",
        /// A text, `topic`.
        topic: Name = "topic",
        /// An integer, `position`.
        position: Name = "position",
        /// A text or null, `message_id`.
        message_id: Name = "message_id",
        /// A text or null, `message_type`.
        message_type: Name = "message_type",
        /// A text, `state`. The table should have an index on consumer, topic, state and position.
        state: Name = "state",
        /// An integer, `attempts`.
        attempts: Name = "attempts",
        /// A text of up to 16,000 characters, `error`.
        error: Name = "error",
        /// An integer, by default -1, `key_slot`: the slot by which the message belongs to a segment.
        key_slot: Name = "key_slot",
        /// A time, `first_failed_at`.
        first_failed_at: Name = "first_failed_at",
        /// A time, `last_failed_at`.
        last_failed_at: Name = "last_failed_at",
    }

    /// The names of the table of messages from outside and its columns.
    InboxTable {
        /// The table, `message_inbox`.
        table: Name = "message_inbox",
        /// A text, `consumer`. The primary key consists of consumer, source and message id.
        consumer: Name = "consumer",
        /// A text, `source`.
        source: Name = "source",
        /// A text, `message_id`.
        message_id: Name = "message_id",
        /// A time, `received_at`.
        received_at: Name = "received_at",
    }

    /// The names of the table of publishers' slots and its columns.
    PublisherSlotsTable {
        /// The table, `message_publisher_slots`.
        table: Name = "message_publisher_slots",
        /// A text, `topic`. The primary key consists of topic and slot.
        topic: Name = "topic",
        /// An integer, `slot`.
        slot: Name = "slot",
    }
}

impl MessageTable {
    /// Returns `true` for the default table, for which some statements have types of their own.
    pub(super) fn is_default(&self) -> bool {
        *self == TableSchema::DEFAULT.messages
    }
}

impl TableSchema {
    pub(crate) const DEFAULT: &'static Self = &Self {
        messages: MessageTable::DEFAULT,
        consumer_state: ConsumerStateTable::DEFAULT,
        segments: SegmentTable::DEFAULT,
        failures: FailureTable::DEFAULT,
        inbox: InboxTable::DEFAULT,
        publisher_slots: PublisherSlotsTable::DEFAULT,
        is_on_one_node: false,
        has_foreign_inserts: false,
    };

    /// Returns the tables that every database needs, with their columns.
    pub(super) fn layouts(&self) -> [Layout<'_>; 5] {
        [
            self.messages.layout(),
            self.consumer_state.layout(),
            self.segments.layout(),
            self.failures.layout(),
            self.inbox.layout(),
        ]
    }

    /// Returns `true` if the tables and columns have the names that the migrations create.
    pub(super) fn has_default_names(&self) -> bool {
        let default = Self::DEFAULT;
        self.messages == default.messages
            && self.consumer_state == default.consumer_state
            && self.segments == default.segments
            && self.failures == default.failures
            && self.inbox == default.inbox
            && self.publisher_slots == default.publisher_slots
    }

    /// States that all programs publish and read on one and the same server, although that server
    /// exchanges its changes with others. Default: unstated. Only readers on MySQL and MariaDB use
    /// it.
    ///
    /// Publishers hold locks that only their own server sees. A reader on a node of a Galera
    /// cluster, or on a replica that can be written, would skip messages of publishers elsewhere.
    /// So it refuses to read there unless the application states that there are no such publishers.
    ///
    /// ```
    /// use persisting_message_bus::sql::TableSchema;
    ///
    /// let schema = TableSchema::default().on_one_node();
    /// ```
    #[must_use]
    pub fn on_one_node(mut self) -> Self {
        self.is_on_one_node = true;
        self
    }

    /// Sets that other programs insert messages by themselves, and that
    /// [`guard_foreign_inserts`](super::guard_foreign_inserts) has installed the guard for them.
    /// Default: not set. No effect on SQLite.
    ///
    /// Publishers then use statements that go together with the guard's trigger. Reading fails if the
    /// trigger is missing; on MySQL and MariaDB, publishing fails too. Consumers check for the trigger
    /// in each poll on PostgreSQL. On MySQL and MariaDB they check every 10 seconds, and need the
    /// privilege TRIGGER on the table.
    ///
    /// The trigger costs all rows some time, those of this library too: for a row in a transaction of
    /// its own, about 20 µs of the server's CPU time on PostgreSQL, which otherwise takes 14 µs, and
    /// 40 µs on MariaDB, which otherwise takes 12 µs. On MySQL and MariaDB, it takes the slot in place
    /// of the publisher, so the number of statements does not grow. A batch of several topics is one
    /// statement for each run of messages of the same topic.
    ///
    /// If the guard is installed and this is not set, nothing is skipped, but dispatching costs more
    /// statements on MySQL and MariaDB, and a batch of several topics fails there.
    #[must_use]
    pub fn with_foreign_inserts(mut self) -> Self {
        self.has_foreign_inserts = true;
        self
    }

    /// Returns the connection with these tables, as a bus.
    pub fn bind<'a, C>(&'a self, connection: &'a mut C) -> WithTables<'a, C> {
        WithTables {
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
pub struct WithTables<'a, C> {
    pub(crate) connection: &'a mut C,
    pub(crate) schema: &'a TableSchema,
}

/// Resolves the names of the consumer-state table. Keys that begin with `failures.` name the table
/// of failed messages.
impl Names for TableSchema {
    fn name(&self, key: &str) -> Option<&str> {
        match key.strip_prefix("failures.") {
            Some(key) => self.failures.name(key),
            None => self.consumer_state.name(key),
        }
    }
}

impl TableSchema {
    /// Returns the names of the table that contains the row of a consumer or of a segment. The
    /// columns of both have the same keys.
    pub(super) fn rows_of(&self, segment: Option<&Segment>) -> &dyn Names {
        match segment {
            None => &self.consumer_state,
            Some(_) => &self.segments,
        }
    }
}

/// Resolves the names of the table of segments, and those of failed messages with the prefix
/// `failures.`.
pub(super) struct SegmentNames<'a>(pub(super) &'a TableSchema);

impl Names for SegmentNames<'_> {
    fn name(&self, key: &str) -> Option<&str> {
        match key.strip_prefix("failures.") {
            Some(key) => self.0.failures.name(key),
            None => self.0.segments.name(key),
        }
    }
}
