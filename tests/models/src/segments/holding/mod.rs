//! Which process holds which segment.
//!
//! The protocol: a process with an idle thread polls. It reads the rows of all segments, and
//! chooses those that are free, have work, and have waited longest: since the cursor moved, or
//! since this process released them. It chooses at most one for each idle thread. It takes each
//! chosen segment by a statement of its own (`TAKE`), if the segment is still free. It releases a
//! segment when the page is handled, or when its slice of time is over. There is no list of the
//! processes, and no process computes a share.
//!
//! Assumptions:
//!
//! - A lease lasts two units of time. All clocks run at the same speed.
//! - A process that is not suspended renews its leases in each unit of time.
//! - A statement is one step.
//!
//! Simplifications:
//!
//! - A segment has work or none. The model of `handling` has messages, cursors and epochs.
//! - A process that knows a segment has the latest epoch if and only if the row names that process.
//! - A killed process is replaced at once. A process that joins or leaves is a process that does
//!   not poll for some time.
//! - The rows of a segment on several topics are one row.
//! - Only one segment is watched in a run, so that the counter of the law is small.

mod counting;
mod faults;
mod laws;
mod state;
mod steps;

pub use self::laws::{
    A_LEASE_HAS_ONE_HOLDER, A_SEGMENT_HAS_A_THREAD, NO_SEGMENT_IS_PASSED_OVER,
    NO_SEGMENT_STAYS_FREE,
};
pub use self::state::State;
pub use self::steps::Step;

/// The maximum number of processes.
pub const PROCESSES: usize = 3;

/// The maximum number of segments.
pub const SEGMENTS: usize = 4;

/// The units of time that a lease lasts.
pub const LEASE: u8 = 2;

/// The bounds and mechanisms of a run.
#[derive(Debug, Clone, Copy)]
pub struct Holding {
    /// The number of handler threads of each process. A process without threads does nothing.
    pub threads: [usize; PROCESSES],
    /// The number of segments.
    pub segments: usize,
    /// The segment for which the law counts.
    pub watched: usize,
    /// The maximum number of takes of other segments while the watched segment is free and has work.
    /// `None` if the takes are not counted.
    pub passes: Option<u8>,
    /// The maximum number of polls of each process that is not suspended, while the watched segment is
    /// free and has work. `None` if the polls are not counted.
    pub polls: Option<u8>,
    /// Whether a slice can end without moving the cursor, because its handler fails.
    pub slices_fail: bool,
    /// Whether a segment can run out of work, and get work again.
    pub work_ends: bool,
    /// The segment whose handler does not return, if there is one.
    pub never_ends: Option<usize>,
    /// The maximum number of times that a process is killed.
    pub kills: u8,
    /// The maximum number of times that a process is suspended, for any time.
    pub suspensions: u8,
    /// The maximum number of takes whose answer is lost.
    pub losses: u8,
    /// The mechanisms that share the segments.
    pub mechanisms: Mechanisms,
}

/// The mechanisms that share the segments. A control lacks one of these.
#[derive(Debug, Clone, Copy)]
pub struct Mechanisms {
    /// A poll chooses by the time for which a segment has waited, not by its number.
    pub longest_wait_first: bool,
    /// A process remembers when it released a segment, because a slice that fails moves no cursor.
    pub remembers_releases: bool,
    /// A process does not take a segment that it holds.
    pub own_is_not_free: bool,
    /// The statement that takes a segment compares that the segment is still free.
    pub take_compares: bool,
    /// A process takes at most one segment for each idle thread.
    pub one_for_each_thread: bool,
    /// A process renews only the segments that it knows, not all rows that name it.
    pub renews_what_it_knows: bool,
}

impl Mechanisms {
    /// The complete protocol.
    pub const ALL: Self = Self {
        longest_wait_first: true,
        remembers_releases: true,
        own_is_not_free: true,
        take_compares: true,
        one_for_each_thread: true,
        renews_what_it_knows: true,
    };
}
