//! Who is to blame for a process that died.
//!
//! The protocol: before messages are handed out, the lease's row notes what is: a *page*, or a message
//! *alone*. The note goes with the cursor, and when the lease is given back; a process that dies leaves
//! it. Who takes such a lease after another holder counts nothing after a page, but hands out one
//! message at a time up to the page's end, while nothing else is handed out in its process. After a
//! message that was alone, that message gets an attempt, and is given up when it has had them all.
//!
//! Who hands out a message alone has its process's *turn*, until it knows that the note is gone: also
//! while its connection is lost, and nothing is handed out. Otherwise the others could end the process
//! in the meantime, and the note would blame that message.
//!
//! Taken as given: a deadly message ends its process each time. Who holds a lease is told by the epoch
//! only; the model of leases has the rest. What handlers do to the database is left out.

mod laws;
mod state;
mod steps;
mod thread;

pub use self::laws::{
    DEATHS_ARE_BOUNDED, NOBODY_IS_BLAMED_FOR_ANOTHER, ONLY_WHAT_IS_HANDED_OUT_COUNTS,
};
pub use self::state::State;
pub use self::steps::Step;

/// How many consumers there are at most.
pub const CONSUMERS: usize = 2;

/// How many processes there are at most.
pub const PROCESSES: usize = 2;

/// How many messages a consumer has at most.
pub const MESSAGES: usize = 3;

/// What is modelled.
#[derive(Debug, Clone, Copy)]
pub struct Deaths {
    /// How many consumers each process runs, a thread for each.
    pub consumers: usize,
    /// How many processes there are.
    pub processes: usize,
    /// How many messages each consumer has, all of them visible from the start.
    pub messages: u8,
    /// How many of them a page has.
    pub page_size: u8,
    /// Which message of the first consumer ends the process, if one does.
    pub deadly: Option<u8>,
    /// How often a process is killed from outside, at most.
    pub kills: u8,
    /// How often a connection is lost, at most.
    pub losses: u8,
    /// How often the lease of a living process expires, at most.
    pub expiries: u8,
    /// How often a message is attempted.
    pub attempts: u8,
    /// What is done so that the guilty one is found.
    pub mechanisms: Mechanisms,
}

/// What is done so that the guilty one is found. A control lacks one of these.
#[derive(Debug, Clone, Copy)]
pub struct Mechanisms {
    /// What is handed out is noted.
    pub note: bool,
    /// It is noted before that, not after the first message.
    pub note_first: bool,
    /// The note goes with the cursor.
    pub note_goes: bool,
    /// A page is no message's attempt.
    pub page_is_nobodys: bool,
    /// What is handed out alone is alone in its process.
    pub alone_in_process: bool,
    /// The turn is kept until the note is gone, not only while the handler is at work.
    pub turn_outlasts_connection: bool,
    /// Who takes its own lease again counts nothing: it has not died.
    pub own_lease_is_no_death: bool,
}

impl Mechanisms {
    /// The protocol as it is meant.
    pub const ALL: Self = Self {
        note: true,
        note_first: true,
        note_goes: true,
        page_is_nobodys: true,
        alone_in_process: true,
        turn_outlasts_connection: true,
        own_lease_is_no_death: true,
    };
}
