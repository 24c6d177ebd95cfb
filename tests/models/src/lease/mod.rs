//! The lease on a consumer, its cursor, and the messages that failed: two processes, connections that
//! are lost with what is on its way, and an operator. The statements are those of the library's
//! `diesel/leases.rs`, `diesel/failed_messages.rs` and `diesel/*/consumer_state.rs`; who runs them when
//! is in its `consumer/`.
//!
//! A transactional page begins with the touch of the row, which keeps others from it, and ends with the
//! cursor. What a handler can do to its transaction is another model's matter.
//!
//! Taken as given: a statement and a transaction of the library's own are one step; SKIP LOCKED passes
//! over a row that a transaction has written, and the lease is taken in one statement (MySQL's compares
//! more, and so comes late less often); what a server keeps after a crash is what it had at some
//! moment before. All messages are there from the start. Redriven messages are read one at a time.

mod database;
mod failing;
mod faults;
mod laws;
mod operator;
mod page;
mod redriven;
mod state;
mod steps;

pub use self::laws::{EFFECTS_COME_ONCE, NOTHING_IS_SKIPPED, REDRIVEN_IS_NOT_FORGOTTEN};
pub use self::state::State;
pub use self::steps::Step;

/// How many processes there are.
pub const PROCESSES: usize = 2;

/// How many messages there are at most.
pub const MESSAGES: usize = 3;

/// What is modelled.
#[derive(Debug, Clone, Copy)]
pub struct Leases {
    /// What kind of handler the consumer has.
    pub handler: Handler,
    /// How many messages there are.
    pub messages: u8,
    /// How many of them a page has.
    pub page_size: u8,
    /// From which message on handlers may fail.
    pub may_fail_from: u8,
    /// How often handlers fail, at most.
    pub failures: u8,
    /// How often a message is attempted before it is parked.
    pub attempts: u8,
    /// How often the operator redrives what is parked, at most.
    pub redrives: u8,
    /// How often the operator resets the consumer to the start, at most. Not with crashes.
    pub resets: u8,
    /// How often a lease expires, at most.
    pub expiries: u8,
    /// How often a process dies, at most.
    pub deaths: u8,
    /// How often a connection is lost, at most.
    pub losses: u8,
    /// How often the server crashes, and may forget commits, at most.
    pub crashes: u8,
    /// Whether redriven messages are looked for in READ UNCOMMITTED.
    pub lists_uncommitted: bool,
    /// Whether a process that has lost its connection keeps the lease, and goes on with another one.
    pub lease_outlives_connection: bool,
    /// What is done against messages being skipped, and effects coming twice.
    pub mechanisms: Mechanisms,
}

/// The kinds of handlers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handler {
    /// Its effects are in the transaction of the page.
    Transactional,
    /// Its effects are elsewhere, and final at once.
    External,
}

/// What is done against messages being skipped, and effects coming twice. A control lacks one of these.
#[derive(Debug, Clone, Copy)]
pub struct Mechanisms {
    /// What is written under a lease names its owner.
    pub owner_is_compared: bool,
    /// It names its epoch.
    pub epoch_is_compared: bool,
    /// When the cursor of a transactional page is stored.
    pub cursor: Cursor,
    /// Failures are recorded, and messages given up, under the lease.
    pub failures_under_lease: bool,
    /// How a message is given up.
    pub give_up: GiveUp,
    /// The note of an external handler's redriven message is taken in the transaction that prolongs
    /// the lease.
    pub taken_with_renewal: bool,
    /// Redriving counts up what consumers compare.
    pub redrive_is_counted: bool,
    /// What a consumer remembers of that is what it read before it looked for redriven messages.
    pub count_is_read_first: bool,
    /// A consumer with a new connection remembers nothing of it.
    pub new_connection_forgets_count: bool,
    /// Where the lease outlives the connection: not if COMMIT was on its way. The cursor comes with the
    /// lease, and only the row tells it then.
    pub lost_commit_ends_lease: bool,
}

/// When the cursor of a transactional page is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cursor {
    /// In the page's transaction.
    WithEffects,
    /// Before it.
    Before,
    /// After it.
    After,
}

/// How a message is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GiveUp {
    /// The cursor and the note in one transaction.
    AtOnce,
    /// The cursor, and then the note.
    CursorFirst,
    /// The note, and then the cursor.
    NoteFirst,
}

impl Mechanisms {
    /// The protocol as it is meant.
    pub const ALL: Self = Self {
        owner_is_compared: true,
        epoch_is_compared: true,
        cursor: Cursor::WithEffects,
        failures_under_lease: true,
        give_up: GiveUp::AtOnce,
        taken_with_renewal: true,
        redrive_is_counted: true,
        count_is_read_first: true,
        new_connection_forgets_count: true,
        lost_commit_ends_lease: true,
    };
}
