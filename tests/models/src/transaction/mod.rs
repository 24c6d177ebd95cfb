//! What becomes of a page whose handler does something to the transaction that it is handled in.
//!
//! The protocol: BEGIN; the lease's row is *touched* under the lease, which writes into it the *mark* that
//! work has begun, of which epoch, and up to which message; handler after handler; the cursor is moved
//! under the lease, if the transaction is still the one that was begun, which takes the mark away; COMMIT.
//! After a message during which a statement failed, or was none that only reads or writes rows, the
//! library asks whether the transaction is still that one. Where it is not, no later message runs, and:
//!
//! - it is aborted: it is rolled back, the page is made again up to the message, and the message has
//!   failed, as with an error of its own;
//! - it has ended, and the row has the mark of this epoch: it was committed. The cursor is stored up to
//!   the message, which is given up at once, as what it did up to then is final: both in one transaction;
//! - it has ended, and the row does not have that mark: it was rolled back. The page is made again up to
//!   the message. Where statements ran after the rollback, which are final, the message is given up
//!   at once. That is noted before the page is made again, as a message before it may fail then.
//!
//! A process that dies between such a commit and the cursor leaves the mark. Who takes the lease sees
//! it, and knows that effects may come again. The mark stays until the cursor has come to its end.
//!
//! Every run ends: each lease raises the epoch, so that no state comes again, and the states are finitely
//! many; and who is not done can go on.
//!
//! The code differs in two places, which makes it no worse. It gives a message up in a transaction after the one
//! that stores the cursor before it and the note that it is final: who dies between the two finds the note. And its
//! mark goes when another holder hands messages out: that holder has announced that effects may come again.
//!
//! Taken as given: the library sees each statement that a handler runs and whether it failed (on SQLite, the
//! database is asked at the end instead, where Diesel hides errors), and can tell the transaction that
//! it has begun from others. Who holds the lease is told by the epoch only; the model of leases has the
//! rest. A handler gets one message at a time.

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
    ATTEMPTS_ARE_BOUNDED, EFFECTS_COME_ONCE, EFFECTS_COME_ONCE_IF_NOTED,
    NOBODY_IS_BLAMED_FOR_ANOTHER, NOTHING_IS_SKIPPED, ONE_AT_A_TIME, THE_HOOK_IS_NOT_REPEATED,
};
pub use self::state::State;
pub use self::steps::Step;

/// How many messages there are at most. They are numbered from 1: zero is the before-replay hook.
pub const MESSAGES: usize = 3;

/// How many processes there are at most.
pub const PROCESSES: usize = 2;

/// What is modelled.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// How the database behaves.
    pub server: Server,
    /// How many messages there are, all of them visible from the start.
    pub messages: u8,
    /// How many of them a page has.
    pub page_size: u8,
    /// Whether there is a before-replay hook.
    pub hook: bool,
    /// How many processes run the consumer.
    pub processes: usize,
    /// What handlers do to their transaction.
    pub deeds: &'static [Deed],
    /// How often, at most, all of them together.
    pub most_deeds: u8,
    /// How often a handler returns an error, at most.
    pub errors: u8,
    /// Whose effects make every COMMIT fail, if somebody's do.
    pub poison: Option<u8>,
    /// How often a process dies, at most.
    pub deaths: u8,
    /// How often the lease of a living process expires, at most.
    pub expiries: u8,
    /// How often a connection is lost at COMMIT, at most.
    pub losses: u8,
    /// How often a message is attempted.
    pub attempts: u8,
    /// What is done then.
    pub give_up: GiveUp,
    /// What is done against messages being skipped, and effects coming twice.
    pub mechanisms: Mechanisms,
}

/// How a database behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    /// A statement that fails aborts the transaction; COMMIT then rolls back, and reports no error.
    Postgres,
    /// A statement that fails leaves the transaction as it was; DDL commits it.
    Mysql,
    /// A statement that fails leaves the transaction as it was; one transaction writes at a time.
    Sqlite,
}

/// What a handler does to its transaction. It ignores errors that come of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// A statement fails.
    FailsStatement,
    /// CREATE, TRUNCATE and the like.
    RunsDdl,
    /// COMMIT as text.
    Commits,
    /// COMMIT and BEGIN as text; on MySQL, BEGIN is enough.
    CommitsAndBegins,
    /// ROLLBACK as text.
    RollsBack,
    /// ROLLBACK and BEGIN as text.
    RollsBackAndBegins,
    /// A statement fails so that the database rolls back all: a deadlock on MySQL, INSERT OR ROLLBACK
    /// on SQLite. On PostgreSQL, it is like others.
    MakesServerRollBack,
}

/// What becomes of a message that is not attempted again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GiveUp {
    /// The consumer stops before it.
    Stop,
    /// It is set aside, and the consumer goes on after it.
    Park,
}

/// What is done against messages being skipped, and effects coming twice. A control lacks one of these.
#[derive(Debug, Clone, Copy)]
pub struct Mechanisms {
    /// The lease's row is written first: nobody takes the lease until the transaction ends.
    pub touch: bool,
    /// The touch leaves a mark in the row, which tells a commit from a rollback.
    pub mark: bool,
    /// The mark says of which epoch it is.
    pub mark_names_epoch: bool,
    /// The mark says up to which message effects may be final, and stays until the cursor is there.
    pub mark_names_end: bool,
    /// Whoever takes a lease with a mark announces that effects may come again.
    pub mark_is_announced: bool,
    /// The cursor is moved after the last message, not before the first.
    pub cursor_last: bool,
    /// It is moved only in the transaction that was begun.
    pub cursor_in_transaction: bool,
    /// The library asks whether the transaction is still the one begun.
    pub asks: Asks,
    /// The answer tells an abort of the transaction that was begun from that of a later one.
    pub tells_whose_abort: bool,
    /// A message whose effects are final is not attempted again.
    pub final_is_given_up: bool,
    /// The cursor before such a message and its note are stored together.
    pub given_up_together: bool,
    /// Where statements ran after a rollback, that is noted before the page is made again.
    pub noted_first: bool,
    /// Where COMMIT fails, the message is searched for.
    pub searches: bool,
    /// A hook that returned Ok and whose transaction was committed early counts as called.
    pub hook_counts: bool,
}

/// When the library asks whether the transaction is still the one that was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asks {
    /// After each message that has done more than read and write rows.
    AfterEach,
    /// After the last message of an attempt.
    AfterLast,
    /// After messages whose handler returned Ok.
    AfterOk,
    /// It believes COMMIT.
    Never,
}

impl Mechanisms {
    /// The protocol as it is meant.
    pub const ALL: Self = Self {
        touch: true,
        mark: true,
        mark_names_epoch: true,
        mark_names_end: true,
        mark_is_announced: true,
        cursor_last: true,
        cursor_in_transaction: true,
        asks: Asks::AfterEach,
        tells_whose_abort: true,
        final_is_given_up: true,
        given_up_together: true,
        noted_first: true,
        searches: true,
        hook_counts: true,
    };
}

impl Deed {
    /// All of them.
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
