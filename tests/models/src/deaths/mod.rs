//! Which message to blame for a process that died.
//!
//! The protocol: before a consumer hands messages out, it notes them in the lease's row (`Work`): a
//! *page*, or a message *alone*. The note is removed when the cursor moves, and when the lease is
//! released. A process that dies leaves its note. The next holder reads it:
//!
//! - After a page, no attempt is counted. The holder hands out one message at a time up to the
//!   page's end, while no other consumer of its process hands messages out.
//! - After a message alone, an attempt of that message is counted. After its last attempt, the
//!   failure policy is applied to it.
//!
//! A consumer that hands out a message alone has the *turn* of its process, until it knows that the
//! note is removed. It keeps the turn even while its connection is lost and it hands out nothing.
//! Otherwise, another consumer could end the process meanwhile, and the note would blame the
//! message.
//!
//! Assumptions and simplifications:
//!
//! - A deadly message ends its process each time.
//! - The epoch and the process identify the lease holder; the model of leases has the rest.
//! - The effects of handlers are omitted.

mod laws;
mod state;
mod steps;
mod thread;

pub use self::laws::{
    DEATHS_ARE_BOUNDED, ONLY_THE_GUILTY_IS_BLAMED, ONLY_WHAT_IS_HANDED_OUT_COUNTS,
};
pub use self::state::State;
pub use self::steps::Step;

/// The maximum number of consumers.
pub const CONSUMERS: usize = 2;

/// The maximum number of processes.
pub const PROCESSES: usize = 2;

/// The maximum number of messages of a consumer.
pub const MESSAGES: usize = 3;

/// The bounds and mechanisms of a run.
#[derive(Debug, Clone, Copy)]
pub struct Deaths {
    /// The number of consumers of each process. Each has a thread.
    pub consumers: usize,
    /// The number of processes.
    pub processes: usize,
    /// The number of messages of each consumer. All are visible from the start.
    pub messages: u8,
    /// The number of messages of a page.
    pub page_size: u8,
    /// The message of the first consumer that ends the process, if there is one.
    pub deadly: Option<u8>,
    /// The maximum number of times that a process is killed from outside.
    pub kills: u8,
    /// The maximum number of lost connections.
    pub losses: u8,
    /// The maximum number of times that the lease of a living process expires.
    pub expiries: u8,
    /// The number of attempts of a message.
    pub attempts: u8,
    /// The mechanisms that find the guilty message.
    pub mechanisms: Mechanisms,
}

/// The mechanisms that find the guilty message. A control lacks one of these.
#[derive(Debug, Clone, Copy)]
pub struct Mechanisms {
    /// Messages that are handed out are noted.
    pub note: bool,
    /// They are noted before they are handed out, not after the first one.
    pub note_first: bool,
    /// The note is removed when the cursor moves.
    pub note_goes: bool,
    /// A page does not count as an attempt of its first message.
    pub page_is_no_attempt: bool,
    /// While a message is handed out alone, no other consumer of the process hands messages out.
    pub alone_in_process: bool,
    /// A consumer keeps the turn until the note is removed, not only while its handler runs.
    pub turn_outlasts_connection: bool,
    /// A process that takes its own lease again counts no attempt, because it has not died.
    pub own_lease_is_no_death: bool,
}

impl Mechanisms {
    /// The complete protocol.
    pub const ALL: Self = Self {
        note: true,
        note_first: true,
        note_goes: true,
        page_is_no_attempt: true,
        alone_in_process: true,
        turn_outlasts_connection: true,
        own_lease_is_no_death: true,
    };
}
