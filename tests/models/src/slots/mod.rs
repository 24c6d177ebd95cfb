//! How readers on MySQL and MariaDB determine which messages can still be committed. The library's
//! `sql/mysql/slots.rs` describes the protocol. Publishers follow it there and in
//! `publish_autocommit.rs`, readers in `sql/mysql/high_water_mark.rs` and
//! `store/slot_observations.rs`.
//!
//! Assumptions:
//!
//! - A commit is visible before its locks are released.
//! - SKIP LOCKED passes over rows that another transaction has locked.
//! - After a crash, the server has the state of some earlier moment.
//!
//! Simplifications:
//!
//! - A topic has two or three slots instead of 64.
//! - A reader that reads the slots keeps publishers from a slot for a moment. The model omits this,
//!   so its publishers can do more than real ones.
//! - A publisher waits for a slot by not acting until the slot is free. A real reader does not see a
//!   slot free for which a publisher waits, so it observes less than a reader of the model can.
//! - A deadlock of publishers is a rollback.
//! - A page is handed out in the step that reads it.

mod laws;
mod publisher;
mod reader;
mod state;
mod steps;

pub use self::laws::NOTHING_IS_SKIPPED;
pub use self::state::State;
pub use self::steps::Step;

/// The maximum number of publishers.
pub const PUBLISHERS: usize = 3;

/// The maximum number of readers.
pub const READERS: usize = 2;

/// The maximum number of slots of a topic.
pub const SLOTS: usize = 3;

/// The bounds and mechanisms of a run.
#[derive(Debug, Clone, Copy)]
pub struct Slots {
    /// The publishers, with their messages.
    pub publishers: [Publisher; PUBLISHERS],
    /// The number of slots of the topic.
    pub slots: usize,
    /// Whether the topic's slots must be inserted first.
    pub topic_is_new: bool,
    /// The number of processes of one consumer. Each has observations of its own; they share the
    /// cursor.
    pub readers: usize,
    /// The maximum number of restarts of a reader's process.
    pub reader_restarts: u8,
    /// Whether readers see uncommitted rows: READ UNCOMMITTED.
    pub reads_uncommitted: bool,
    /// The maximum number of crashes of the server.
    pub crashes: u8,
    /// The mechanisms that keep messages from being skipped.
    pub mechanisms: Mechanisms,
}

/// The messages of a publisher.
#[derive(Debug, Clone, Copy)]
pub struct Publisher {
    /// The number of transactions.
    pub transactions: u8,
    /// The maximum number of messages in each transaction.
    pub messages: u8,
    /// Whether the messages are on another topic. That topic has slots of its own, and draws its
    /// positions from the same sequence.
    pub on_other_topic: bool,
}

/// The mechanisms that keep messages from being skipped. A control lacks one of these.
#[derive(Debug, Clone, Copy)]
pub struct Mechanisms {
    /// Publishers lock a slot.
    pub slot: bool,
    /// Publishers lock it before they draw a position.
    pub slot_before_drawing: bool,
    /// A reader reads the last position before it reads the slots.
    pub last_before_slots: bool,
    /// A reader reads rows in a snapshot that is taken after it has read the slots.
    pub rows_in_later_snapshot: bool,
    /// A slot that is not free holds a reader at the position where it was last seen free.
    pub held_slots_count: bool,
    /// A slot that was never seen free holds a reader at the start.
    pub unseen_slots_count: bool,
    /// Observations of another run of the server are forgotten.
    pub observations_are_of_one_run: bool,
}

impl Mechanisms {
    /// The complete protocol.
    pub const ALL: Self = Self {
        slot: true,
        slot_before_drawing: true,
        last_before_slots: true,
        rows_in_later_snapshot: true,
        held_slots_count: true,
        unseen_slots_count: true,
        observations_are_of_one_run: true,
    };
}

impl Publisher {
    /// A publisher of nothing.
    pub const NONE: Self = Self::of(0, 0);

    /// Creates a publisher on the topic.
    #[must_use]
    pub const fn of(transactions: u8, messages: u8) -> Self {
        Self {
            transactions,
            messages,
            on_other_topic: false,
        }
    }

    /// Creates a publisher on the other topic.
    #[must_use]
    pub const fn of_other_topic(transactions: u8, messages: u8) -> Self {
        Self {
            on_other_topic: true,
            ..Self::of(transactions, messages)
        }
    }
}
