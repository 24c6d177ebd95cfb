//! How readers know on MySQL and MariaDB what can still be committed. The protocol is described in the
//! library's `diesel/mysql/slots.rs`; publishers keep to it there and in `single.rs`, readers in
//! `horizon.rs` and `sightings.rs`.
//!
//! Taken as given: a commit is visible before its locks go; SKIP LOCKED passes over what others have
//! locked; what a server keeps after a crash is what it had at some moment before. A topic has two or
//! three slots instead of 64. That a reader's look keeps publishers from a slot for a moment is left
//! out: so publishers come more often than they can. A page is handed out in the step that reads it.

mod laws;
mod publisher;
mod reader;
mod state;
mod steps;

pub use self::laws::NOTHING_IS_SKIPPED;
pub use self::state::State;
pub use self::steps::Step;

/// How many publishers there are at most.
pub const PUBLISHERS: usize = 3;

/// How many readers there are at most.
pub const READERS: usize = 2;

/// How many slots a topic has at most.
pub const SLOTS: usize = 3;

/// What is modelled.
#[derive(Debug, Clone, Copy)]
pub struct Slots {
    /// Who publishes what.
    pub publishers: [Publisher; PUBLISHERS],
    /// How many slots the topic has.
    pub slots: usize,
    /// Whether its slots have to be inserted first.
    pub topic_is_new: bool,
    /// How many processes of one consumer there are. Each remembers what it has seen; they share the
    /// cursor.
    pub readers: usize,
    /// How often a reader's process is started anew, at most.
    pub reader_restarts: u8,
    /// Whether readers see what is not committed: READ UNCOMMITTED.
    pub reads_uncommitted: bool,
    /// How often the server crashes, at most.
    pub crashes: u8,
    /// What is done against messages being skipped.
    pub mechanisms: Mechanisms,
}

/// What somebody publishes.
#[derive(Debug, Clone, Copy)]
pub struct Publisher {
    /// In how many transactions.
    pub transactions: u8,
    /// With how many messages each, at most.
    pub messages: u8,
    /// Whether on another topic, which has slots of its own and takes its positions from the same
    /// numbers.
    pub on_other_topic: bool,
}

/// What is done against messages being skipped. A control lacks one of these.
#[derive(Debug, Clone, Copy)]
pub struct Mechanisms {
    /// Publishers lock a slot.
    pub slot: bool,
    /// They lock it before they draw a position.
    pub slot_before_drawing: bool,
    /// A reader reads the last position before it looks at the slots.
    pub last_before_slots: bool,
    /// A reader reads rows in a snapshot that is made after the look at the slots.
    pub rows_in_later_snapshot: bool,
    /// A slot that is held holds a reader where it was last seen free.
    pub held_slots_count: bool,
    /// A slot that was never seen free holds a reader at the start.
    pub unseen_slots_count: bool,
    /// What was seen in another run of the server is forgotten.
    pub sightings_are_of_one_run: bool,
}

impl Mechanisms {
    /// The protocol as it is meant.
    pub const ALL: Self = Self {
        slot: true,
        slot_before_drawing: true,
        last_before_slots: true,
        rows_in_later_snapshot: true,
        held_slots_count: true,
        unseen_slots_count: true,
        sightings_are_of_one_run: true,
    };
}

impl Publisher {
    /// One that publishes nothing.
    pub const NONE: Self = Self::of(0, 0);

    /// One that publishes on the topic.
    #[must_use]
    pub const fn of(transactions: u8, messages: u8) -> Self {
        Self {
            transactions,
            messages,
            on_other_topic: false,
        }
    }

    /// One that publishes on the other topic.
    #[must_use]
    pub const fn of_other_topic(transactions: u8, messages: u8) -> Self {
        Self {
            on_other_topic: true,
            ..Self::of(transactions, messages)
        }
    }
}
