//! How readers on PostgreSQL determine which messages can still be committed. The library's
//! `sql/postgres/fence.rs` describes the protocol. Publishers follow it in `publish_one.rs`,
//! `unnested_rows.rs`, `publish_autocommit.rs` and `publish_copy.rs`.
//!
//! Assumptions:
//!
//! - A commit is visible before its locks are released.
//! - One statement sees the locks of one moment.
//! - After a crash, the server has the state of some earlier moment, and its sequence is at or
//!   after the last row.
//!
//! Simplifications:
//!
//! - A page is handed out in the step that reads it, because other models cover the cursor.
//! - A prepared transaction is a slow transaction.
//! - A message in a transaction of its own (`publish_autocommit.rs`) and a copy take the same steps
//!   as other messages.

mod laws;
mod publisher;
mod reader;
mod state;
mod steps;

pub use self::laws::NOTHING_IS_SKIPPED;
pub use self::state::State;
pub use self::steps::Step;

/// The maximum number of topics.
pub const TOPICS: usize = 2;

/// The maximum number of publishers.
pub const PUBLISHERS: usize = 3;

/// The bounds and mechanisms of a run.
#[derive(Debug, Clone, Copy)]
pub struct Fence {
    /// The topics, of one message table or of several.
    pub topics: [Topic; TOPICS],
    /// Whether a consumer reads the topic. Each topic has a consumer of its own.
    pub read: [bool; TOPICS],
    /// The publishers, with their messages.
    pub publishers: [Publisher; PUBLISHERS],
    /// The maximum number of crashes of the server.
    pub crashes: u8,
    /// The mechanisms that keep messages from being skipped.
    pub mechanisms: Mechanisms,
}

/// A topic of a message table.
#[derive(Debug, Clone, Copy)]
pub struct Topic {
    /// The sequence of the table's positions.
    pub sequence: usize,
    /// The class of the lock: the part of its key that stands for the topic and the sequence,
    /// `key_of(topic) # sequence.id << 40`. Two topics can have the same class.
    pub class: u8,
}

/// The messages of a publisher.
#[derive(Debug, Clone, Copy)]
pub struct Publisher {
    /// The number of transactions.
    pub transactions: u8,
    /// The maximum number of messages in each transaction.
    pub messages: u8,
    /// The topics of the messages.
    pub topics: [bool; TOPICS],
    /// Whether the publisher can roll a transaction back to a savepoint, once.
    pub savepoint: bool,
}

/// The mechanisms that keep messages from being skipped. A control lacks one of these.
#[derive(Debug, Clone, Copy)]
pub struct Mechanisms {
    /// Publishers take a shared lock that announces the last value of the sequence.
    pub lock: bool,
    /// Publishers take it before they draw a position.
    pub lock_before_drawing: bool,
    /// A reader that sees no message after its cursor reads no rows, because it does not read the
    /// locks.
    pub idle_reads_no_rows: bool,
    /// A reader reads the sequence before it reads the locks.
    pub sequence_before_locks: bool,
    /// A reader reads rows in a snapshot that is taken after it has read the locks.
    pub rows_in_later_snapshot: bool,
    /// A rollback to a savepoint undoes the setting that remembers a lock, as it undoes the lock.
    pub setting_ends_with_savepoint: bool,
    /// The name of that setting contains the sequence, not only the lock's class.
    pub setting_names_sequence: bool,
}

impl Mechanisms {
    /// The complete protocol.
    pub const ALL: Self = Self {
        lock: true,
        lock_before_drawing: true,
        idle_reads_no_rows: true,
        sequence_before_locks: true,
        rows_in_later_snapshot: true,
        setting_ends_with_savepoint: true,
        setting_names_sequence: true,
    };
}

impl Topic {
    /// Two topics of one table.
    pub const OF_ONE_TABLE: [Self; TOPICS] = [
        Self {
            sequence: 0,
            class: 0,
        },
        Self {
            sequence: 0,
            class: 1,
        },
    ];

    /// Two topics of one table whose names have the same hash.
    pub const OF_ONE_HASH: [Self; TOPICS] = [Self {
        sequence: 0,
        class: 0,
    }; TOPICS];

    /// Topics of two tables. Their locks have the same class.
    pub const OF_ONE_CLASS: [Self; TOPICS] = [
        Self {
            sequence: 0,
            class: 0,
        },
        Self {
            sequence: 1,
            class: 0,
        },
    ];
}

impl Publisher {
    /// A publisher of nothing.
    pub const NONE: Self = Self::of_first_topic(0, 0);

    /// Creates a publisher on the first topic.
    #[must_use]
    pub const fn of_first_topic(transactions: u8, messages: u8) -> Self {
        Self {
            transactions,
            messages,
            topics: [true, false],
            savepoint: false,
        }
    }

    /// Creates a publisher on the second topic.
    #[must_use]
    pub const fn of_second_topic(transactions: u8, messages: u8) -> Self {
        Self {
            topics: [false, true],
            ..Self::of_first_topic(transactions, messages)
        }
    }

    /// Creates a publisher on both topics.
    #[must_use]
    pub const fn of_both_topics(transactions: u8, messages: u8) -> Self {
        Self {
            topics: [true, true],
            ..Self::of_first_topic(transactions, messages)
        }
    }

    /// Returns the same publisher, which can roll back to a savepoint.
    #[must_use]
    pub const fn with_savepoint(self) -> Self {
        Self {
            savepoint: true,
            ..self
        }
    }
}
