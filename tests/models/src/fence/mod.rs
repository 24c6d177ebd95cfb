//! How readers know on PostgreSQL what can still be committed. The protocol is described in the
//! library's `diesel/postgres/fence.rs`; publishers keep to it in `insert_one.rs`, `insert.rs`,
//! `single.rs` and `copy.rs`.
//!
//! Taken as given: a commit is visible before its locks go; one statement sees the locks of a moment;
//! what a server keeps after a crash is what it had at some moment before, and its sequence is then
//! at or beyond the rows. A page is handed out in the step that reads it: the cursor is the other
//! models' matter. A transaction that is prepared is one that takes its time. A message alone
//! (`single.rs`) and a copy take the same steps as the others.

mod laws;
mod publisher;
mod reader;
mod state;
mod steps;

pub use self::laws::NOTHING_IS_SKIPPED;
pub use self::state::State;
pub use self::steps::Step;

/// How many topics there are at most.
pub const TOPICS: usize = 2;

/// How many publishers there are at most.
pub const PUBLISHERS: usize = 3;

/// What is modelled.
#[derive(Debug, Clone, Copy)]
pub struct Fence {
    /// The topics, of one message table or of several.
    pub topics: [Topic; TOPICS],
    /// Whose messages are read, and by a consumer each.
    pub read: [bool; TOPICS],
    /// Who publishes what.
    pub publishers: [Publisher; PUBLISHERS],
    /// How often the server crashes, at most.
    pub crashes: u8,
    /// What is done against messages being skipped.
    pub mechanisms: Mechanisms,
}

/// A topic of a message table.
#[derive(Debug, Clone, Copy)]
pub struct Topic {
    /// The sequence of the table's positions.
    pub sequence: usize,
    /// The lock's class: `hash_of(topic) # sequence.id`, of which two can be the same.
    pub class: u8,
}

/// What somebody publishes.
#[derive(Debug, Clone, Copy)]
pub struct Publisher {
    /// In how many transactions.
    pub transactions: u8,
    /// With how many messages each, at most.
    pub messages: u8,
    /// On which topics.
    pub topics: [bool; TOPICS],
    /// Whether it may roll a transaction back to a savepoint, once.
    pub savepoint: bool,
}

/// What is done against messages being skipped. A control lacks one of these.
#[derive(Debug, Clone, Copy)]
pub struct Mechanisms {
    /// Publishers take a shared lock that says how far the sequence was.
    pub lock: bool,
    /// They take it before they draw a position.
    pub lock_before_drawing: bool,
    /// A reader looks at the sequence before it looks at the locks.
    pub sequence_before_locks: bool,
    /// A reader reads rows in a snapshot that is made after the look at the locks.
    pub rows_in_later_snapshot: bool,
    /// The setting that remembers a lock is undone with a savepoint, as the lock is.
    pub setting_ends_with_savepoint: bool,
    /// That setting is named after the lock's class and the sequence, not after the class only.
    pub setting_names_sequence: bool,
}

impl Mechanisms {
    /// The protocol as it is meant.
    pub const ALL: Self = Self {
        lock: true,
        lock_before_drawing: true,
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

    /// Topics of two tables, whose locks have the same class.
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
    /// One that publishes nothing.
    pub const NONE: Self = Self::of_first_topic(0, 0);

    /// One that publishes on the first topic.
    #[must_use]
    pub const fn of_first_topic(transactions: u8, messages: u8) -> Self {
        Self {
            transactions,
            messages,
            topics: [true, false],
            savepoint: false,
        }
    }

    /// One that publishes on the second topic.
    #[must_use]
    pub const fn of_second_topic(transactions: u8, messages: u8) -> Self {
        Self {
            topics: [false, true],
            ..Self::of_first_topic(transactions, messages)
        }
    }

    /// One that publishes on both topics.
    #[must_use]
    pub const fn of_both_topics(transactions: u8, messages: u8) -> Self {
        Self {
            topics: [true, true],
            ..Self::of_first_topic(transactions, messages)
        }
    }

    /// One that may roll back to a savepoint.
    #[must_use]
    pub const fn with_savepoint(self) -> Self {
        Self {
            savepoint: true,
            ..self
        }
    }
}
