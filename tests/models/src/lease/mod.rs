//! The lease on a consumer, its cursor, and the messages that failed. There are two processes and
//! an operator. A connection can be lost while a statement is on its way. The statements are in the
//! library's `sql/statements/leases.rs`, `sql/statements/failures.rs` and `sql/*/leases.rs`. The
//! library's `consume/` runs them.
//!
//! A transactional page begins with the touch, a write on the consumer's row, so that no other
//! process can take the lease. It ends with the cursor. Another model covers what a handler can do
//! to its transaction.
//!
//! Assumptions:
//!
//! - A statement is one step, and so is a transaction of the library's own.
//! - SKIP LOCKED passes over a row that a transaction has written.
//! - The lease is taken in one statement. MySQL's statement compares more, so fewer late ones
//!   succeed.
//! - After a crash, the server has the state of some earlier moment.
//!
//! Simplifications:
//!
//! - All messages exist from the start.
//! - Redriven messages are read one at a time.
//! - After redriven messages, a process polls again before it takes a page.

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

/// The number of processes.
pub const PROCESSES: usize = 2;

/// The maximum number of messages.
pub const MESSAGES: usize = 3;

/// The bounds and mechanisms of a run.
#[derive(Debug, Clone, Copy)]
pub struct Leases {
    /// The kind of handler that the consumer has.
    pub handler: Handler,
    /// The number of messages.
    pub messages: u8,
    /// The number of messages of a page.
    pub page_size: u8,
    /// The first message on which handlers can fail.
    pub may_fail_from: u8,
    /// The maximum number of failures of handlers.
    pub failures: u8,
    /// The number of attempts before a message is parked.
    pub attempts: u8,
    /// The maximum number of times that the operator redrives the parked messages.
    pub redrives: u8,
    /// The maximum number of times that the operator resets the consumer to the start. Must be zero
    /// if there are crashes.
    pub resets: u8,
    /// The maximum number of times that the lease of a living holder expires.
    pub expiries: u8,
    /// The maximum number of deaths of processes.
    pub deaths: u8,
    /// The maximum number of lost connections.
    pub losses: u8,
    /// The maximum number of crashes of the server, each of which can undo commits.
    pub crashes: u8,
    /// Whether polls read in READ UNCOMMITTED.
    pub reads_uncommitted: bool,
    /// Whether a process that has lost its connection keeps the lease, and continues with another
    /// connection.
    pub lease_outlives_connection: bool,
    /// The mechanisms that keep messages from being skipped, and effects from being repeated.
    pub mechanisms: Mechanisms,
}

/// The kinds of handlers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handler {
    /// The effects are in the transaction of the page.
    Transactional,
    /// The effects are outside of the page's transaction, and final at once.
    External,
}

/// The mechanisms that keep messages from being skipped, and effects from being repeated. A control
/// lacks one of these.
#[derive(Debug, Clone, Copy)]
pub struct Mechanisms {
    /// Writes under a lease name its owner.
    pub owner_is_compared: bool,
    /// Writes under a lease name its epoch.
    pub epoch_is_compared: bool,
    /// The time at which the cursor of a transactional page is stored.
    pub cursor: Cursor,
    /// Failures are recorded, and the failure policy is applied, under the lease.
    pub failures_under_lease: bool,
    /// The order of the writes that apply the failure policy.
    pub give_up: GiveUp,
    /// The transaction that renews the lease also takes the note of an external handler's redriven
    /// message.
    pub taken_with_renewal: bool,
    /// The transaction of a transactional handler's redriven message also takes the note.
    pub taken_with_effects: bool,
    /// Each poll reads the first redriven message, even if there are no new messages.
    pub poll_reads_redriven: bool,
    /// A lease that outlives the connection ends if COMMIT was on its way. Only the row shows
    /// whether the cursor has moved, and a consumer reads the row when it takes the lease.
    pub lost_commit_ends_lease: bool,
}

/// The time at which the cursor of a transactional page is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cursor {
    /// In the page's transaction.
    WithEffects,
    /// Before the page's transaction.
    Before,
    /// After the page's transaction.
    After,
}

/// The order of the writes that apply the failure policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GiveUp {
    /// One transaction writes the cursor and the note.
    AtOnce,
    /// The cursor is written first, and the note later.
    CursorFirst,
    /// The note is written first, and the cursor later.
    NoteFirst,
}

impl Mechanisms {
    /// The complete protocol.
    pub const ALL: Self = Self {
        owner_is_compared: true,
        epoch_is_compared: true,
        cursor: Cursor::WithEffects,
        failures_under_lease: true,
        give_up: GiveUp::AtOnce,
        taken_with_renewal: true,
        taken_with_effects: true,
        poll_reads_redriven: true,
        lost_commit_ends_lease: true,
    };
}
