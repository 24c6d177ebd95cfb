//! The outcome for a page whose handler does something to its transaction.
//!
//! An attempt has these steps:
//!
//! 1. BEGIN.
//! 2. The library *touches* the lease's row, under the lease (`begin_work`). This writes the *mark*
//!    into the row: that work has begun.
//! 3. The library calls the handler with one message after the other.
//! 4. If the transaction is still the one that was begun, the library moves the cursor, under the
//!    lease. This removes the mark.
//! 5. COMMIT.
//!
//! The library asks whether the transaction is still the one that was begun. It asks after each
//! message during which a statement failed, or during which a statement did more than read or write
//! rows. If it is not the same transaction, no later message runs. There are three cases:
//!
//! - The transaction is aborted. The library rolls it back, and handles the page again up to the
//!   message. The message has failed, as with an error of its own.
//! - The transaction has ended, and the row has the mark, so it was committed. The effects of the
//!   message up to then are final. One transaction notes this and stores the cursor before the
//!   message. The next transaction applies the failure policy to the message, without another
//!   attempt.
//! - The transaction has ended, and the row does not have the mark, so it was rolled back. The
//!   library handles the page again up to the message. If statements ran after the rollback, their
//!   effects are final, and the failure policy is applied without another attempt. The library
//!   notes this before it handles the page again, because a message before it can fail then.
//!
//! A process that dies between such a commit and the cursor leaves the mark. The next holder sees
//! it when it takes the lease, and announces that effects of the page can be repeated. It removes
//! the mark when it hands messages out, so that it does not take the mark for its own.
//!
//! Every run ends. Each lease raises the epoch, so no state occurs twice, and the number of states
//! is finite. Unfinished work can continue.
//!
//! Assumptions:
//!
//! - The library sees each statement that a handler runs, and whether it failed. On SQLite, where
//!   Diesel hides errors, the library asks the database at the end instead.
//! - The library can tell the transaction that it has begun from others.
//! - The epoch and the process identify the lease holder; the model of leases has the rest.
//! - A handler receives one message at a time.
//!
//! Simplifications:
//!
//! - A holder takes the lease and hands messages out (`hand_out`) in one step.
//! - The mark is read in a step of its own. The library reads it in the transaction of the note,
//!   and only if effects of a message can be final.

mod asking;
mod committing;
mod handler;
mod laws;
mod library;
mod server;
mod settling;
mod state;
mod steps;

pub use self::laws::{
    ATTEMPTS_ARE_BOUNDED, EFFECTS_COME_ONCE, EFFECTS_COME_ONCE_IF_NOTED, NOTHING_IS_SKIPPED,
    ONE_AT_A_TIME, ONLY_THE_GUILTY_IS_BLAMED, THE_HOOK_IS_NOT_REPEATED,
};
pub use self::state::State;
pub use self::steps::Step;

/// The maximum number of messages. They are numbered from 1: zero is the before-replay hook.
pub const MESSAGES: usize = 3;

/// The maximum number of processes.
pub const PROCESSES: usize = 2;

/// The bounds and mechanisms of a run.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// The database.
    pub server: Server,
    /// The number of messages. All are visible from the start.
    pub messages: u8,
    /// The number of messages of a page.
    pub page_size: u8,
    /// Whether there is a before-replay hook.
    pub hook: bool,
    /// The number of processes that run the consumer.
    pub processes: usize,
    /// The deeds that handlers can do to their transaction.
    pub deeds: &'static [Deed],
    /// The maximum number of deeds of all kinds together.
    pub most_deeds: u8,
    /// The maximum number of errors that handlers return.
    pub errors: u8,
    /// The message whose effects make every COMMIT fail, if there is one.
    pub poison: Option<u8>,
    /// The maximum number of deaths of processes.
    pub deaths: u8,
    /// The maximum number of times that the lease of a living process expires.
    pub expiries: u8,
    /// The maximum number of connections that are lost at COMMIT.
    pub losses: u8,
    /// The number of attempts of a message.
    pub attempts: u8,
    /// The failure policy.
    pub give_up: GiveUp,
    /// The mechanisms that keep messages from being skipped, and effects from being repeated.
    pub mechanisms: Mechanisms,
}

/// The behaviour of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    /// A statement that fails aborts the transaction. COMMIT then rolls back, and reports no error.
    Postgres,
    /// A statement that fails leaves the transaction as it was. DDL commits the transaction.
    Mysql,
    /// A statement that fails leaves the transaction as it was. One transaction writes at a time.
    Sqlite,
}

/// A deed of a handler to its transaction. The handler ignores the resulting errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// A statement fails.
    FailsStatement,
    /// CREATE, TRUNCATE and the like.
    RunsDdl,
    /// COMMIT as text.
    Commits,
    /// COMMIT and BEGIN as text. On MySQL, BEGIN is enough.
    CommitsAndBegins,
    /// ROLLBACK as text.
    RollsBack,
    /// ROLLBACK and BEGIN as text.
    RollsBackAndBegins,
    /// A statement fails so that the database rolls back the whole transaction: a deadlock on
    /// MySQL, INSERT OR ROLLBACK on SQLite. On PostgreSQL, it is like any other failure.
    MakesServerRollBack,
}

/// The failure policy for a message that is not attempted again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GiveUp {
    /// The consumer stops before it.
    Stop,
    /// The message is parked, and the consumer continues after it.
    Park,
}

/// The mechanisms that keep messages from being skipped, and effects from being repeated. A control
/// lacks one of these.
#[derive(Debug, Clone, Copy)]
pub struct Mechanisms {
    /// The lease's row is written first, so no process can take the lease until the transaction
    /// ends.
    pub touch: bool,
    /// The touch writes a mark into the row, which distinguishes a commit from a rollback.
    pub mark: bool,
    /// A holder removes the mark of an earlier holder when it hands messages out.
    pub earlier_mark_goes: bool,
    /// A holder that takes a lease with a mark announces that effects can be repeated.
    pub mark_is_announced: bool,
    /// The cursor is moved after the last message, not before the first.
    pub cursor_last: bool,
    /// The cursor is moved only in the transaction that was begun.
    pub cursor_in_transaction: bool,
    /// The library asks whether the transaction is still the one begun.
    pub asks: Asks,
    /// The answer distinguishes an abort of the transaction that was begun from that of a later
    /// one.
    pub tells_whose_abort: bool,
    /// A message whose effects are final is not attempted again.
    pub final_is_given_up: bool,
    /// One transaction stores the cursor before such a message and the note of the message.
    pub noted_with_cursor: bool,
    /// If statements ran after a rollback, this is noted before the page is handled again.
    pub noted_first: bool,
    /// If COMMIT fails, the library searches for the guilty message.
    pub searches: bool,
    /// A hook that returned `Ok`, and whose transaction was committed early, counts as called.
    pub hook_counts: bool,
}

/// The time at which the library asks whether the transaction is still the one that was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asks {
    /// After each message whose statements failed, or did more than read and write rows.
    AfterEach,
    /// After the last message of an attempt.
    AfterLast,
    /// Only after messages whose handler returned `Ok`.
    AfterOk,
    /// Never. The library trusts the result of COMMIT.
    Never,
}

impl Mechanisms {
    /// The complete protocol.
    pub const ALL: Self = Self {
        touch: true,
        mark: true,
        earlier_mark_goes: true,
        mark_is_announced: true,
        cursor_last: true,
        cursor_in_transaction: true,
        asks: Asks::AfterEach,
        tells_whose_abort: true,
        final_is_given_up: true,
        noted_with_cursor: true,
        noted_first: true,
        searches: true,
        hook_counts: true,
    };
}

impl Deed {
    /// All deeds.
    pub const ALL: &'static [Self] = &[
        Self::FailsStatement,
        Self::RunsDdl,
        Self::Commits,
        Self::CommitsAndBegins,
        Self::RollsBack,
        Self::RollsBackAndBegins,
        Self::MakesServerRollBack,
    ];
}
