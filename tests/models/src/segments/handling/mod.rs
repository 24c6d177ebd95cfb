//! How a segment's messages are handled, and how segments are reset and replaced.
//!
//! The protocol:
//!
//! - A poll reads the head, and then the header row. Their minimum bounds what is handed out. The
//!   header says which segments there are.
//! - A process takes a free segment of its last poll (`TAKE`). The statement names the slots of the
//!   segment, and returns the cursor and the next epoch. The process counts on the lease from the
//!   time before it sends the statement.
//! - It hands out one message of the segment at a time, while it counts on the lease.
//! - An external handler's progress is stored later, with or without a release (`STORE_AND_HOLD`,
//!   `STORE_AND_RELEASE`). Both compare owner and epoch. If the answer is lost, the process sends the
//!   same values again, and hands out nothing until then.
//! - A transactional handler's thread begins with the cursor, under owner and epoch. It extends the
//!   lease again before COMMIT.
//! - Renewals name segments and epochs, and skip rows that a transaction has locked.
//! - To replace the segments by another number of segments, an operator writes `stop_at` to the
//!   header. No segment is taken at that position, and nothing after it is handed out. A process
//!   that sees a cursor after `stop_at` raises `stop_at`. If all segments are free and all cursors
//!   are equal to it, one transaction replaces the rows.
//! - A reset is one transaction on all rows. It is refused if a segment is held.
//!
//! Assumptions:
//!
//! - A lease lasts two units of time. All clocks run at the same speed.
//! - A process that is not suspended renews its leases in each unit of time, unless an answer or a
//!   lock delays it.
//! - A statement is one step, and so is a transaction of the library's own.
//! - SKIP LOCKED passes over a row that a transaction has written. Statements without it wait.
//! - A transaction ends with its process. A COMMIT on its way can arrive later, or never.
//!
//! Simplifications:
//!
//! - Handlers do not fail, and messages are not redriven. The model of leases has both.
//! - Progress is one message at a time. Pages are omitted.
//! - A killed process is replaced at once. A process that joins or leaves is a process that does not
//!   poll for some time.
//! - Each process can lose one statement that arrives later.
//! - The rows of a segment on several topics are one row. The model of `topics` has several.
//! - The server does not forget commits.
//! - `takes` bounds the epochs.

mod late;
mod laws;
mod operator;
mod polling;
mod state;
mod steps;
mod storing;
mod time;
mod transaction;
mod working;

pub use self::laws::{
    AN_EPOCH_HAS_ONE_HOLDER, CURSORS_DO_NOT_GO_BACK, EFFECTS_COME_ONCE, KEYS_ARE_IN_ORDER,
    LIVING_KEEP_LEASES, NOTHING_IS_SKIPPED, NOTHING_REPEATS_WITHOUT_A_FAULT, ONE_AT_A_TIME,
    ONLY_THE_HOLDER_BEGINS, THE_RING_IS_WHOLE,
};
pub use self::state::State;
pub use self::steps::Step;

/// The maximum number of processes.
pub const PROCESSES: usize = 3;

/// The maximum number of segments, and the number of slots.
pub const SEGMENTS: usize = 4;

/// The maximum number of messages.
pub const MESSAGES: usize = 4;

/// The units of time that a lease lasts.
pub const LEASE: u8 = 2;

/// The bounds and mechanisms of a run.
#[derive(Debug, Clone, Copy)]
pub struct Handling {
    /// The kind of handler that the consumer has.
    pub handler: Handler,
    /// The number of threads of each process. A process without threads does nothing.
    pub threads: [usize; PROCESSES],
    /// The number of messages.
    pub messages: u8,
    /// The number of messages that exist from the start. The others are published later.
    pub published: u8,
    /// The slot of each message. Numbers begin at 1, indices at zero.
    pub slots: [u8; MESSAGES],
    /// The number of segments at the start: one, two or four.
    pub segments: usize,
    /// The numbers of segments that the operator sets, one after another.
    pub resizes: &'static [usize],
    /// The maximum number of resets to the start.
    pub resets: u8,
    /// The message whose handler does not return, if there is one.
    pub never_ends: Option<u8>,
    /// Whether another participant can act between the check of the lease and the handler.
    pub hands_out_apart: bool,
    /// The maximum number of takes.
    pub takes: u8,
    /// The maximum number of times that a process is killed.
    pub kills: u8,
    /// The maximum number of times that a process is suspended, for any time.
    pub suspensions: u8,
    /// The maximum number of statements whose answer is lost.
    pub losses: u8,
    /// The maximum number of answers that are late.
    pub delays: u8,
    /// The mechanisms that keep messages in order.
    pub mechanisms: Mechanisms,
}

/// The kinds of handlers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handler {
    /// The effects are outside of any transaction, and final at once.
    External,
    /// The effects are in the transaction that stores the cursor.
    Transactional,
}

/// The mechanisms that keep messages in order. A control lacks one of these.
#[derive(Debug, Clone, Copy)]
pub struct Mechanisms {
    /// A process does not take a segment that it holds.
    pub own_is_not_free: bool,
    /// A process holds at most one segment for each thread.
    pub one_for_each_thread: bool,
    /// Writes under a lease compare its epoch.
    pub epoch_is_compared: bool,
    /// Writes under a lease compare its owner.
    pub owner_is_compared: bool,
    /// A process counts on a lease from before it sends the take, not from the answer.
    pub takes_count_from_sending: bool,
    /// A process counts on a lease from before it sends the renewal, not from the answer.
    pub renewals_count_from_sending: bool,
    /// Renewals skip rows that a transaction has locked.
    pub renewal_skips_locked: bool,
    /// A transaction extends the lease again before COMMIT.
    pub commit_extends_lease: bool,
    /// A segment with an open transaction is not dropped when its lease runs out.
    pub open_transaction_keeps_segment: bool,
    /// A process that gets no answer to COMMIT forgets the segment.
    pub lost_commit_drops_segment: bool,
    /// A process that gets no answer to a store sends it again, with the same values.
    pub lost_store_is_repeated: bool,
    /// A release always stores the cursor, even if the process has stored it before.
    pub release_stores_cursor: bool,
    /// A result counts only in the epoch in which its message was handed out.
    pub results_name_epoch: bool,
    /// A segment hands out nothing while an earlier thread of it runs in the process.
    pub waits_for_late_thread: bool,
    /// A reset removes the owners.
    pub reset_removes_owner: bool,
    /// A reset begins another epoch.
    pub reset_begins_epoch: bool,
    /// A poll reads the head before the header.
    pub head_before_header: bool,
    /// A process that sees a cursor after `stop_at` raises `stop_at`.
    pub stop_is_raised: bool,
    /// Rows are replaced only if all cursors are equal to `stop_at`.
    pub replaces_at_equal_cursors: bool,
    /// Segments whose cursor is at `stop_at` are not taken.
    pub take_respects_stop: bool,
    /// A take names the slots that the poll has seen, and takes no row with other slots.
    pub take_compares_slots: bool,
    /// The transaction that replaces the rows checks again that all are free.
    pub replacing_checks_again: bool,
    /// To the process that replaces the rows, its own segments are not free.
    pub replacing_spares_own: bool,
    /// The rows are deleted and inserted in one transaction.
    pub replaces_at_once: bool,
    /// Epochs of new rows are after all epochs of the old rows.
    pub new_rows_continue_epochs: bool,
}

impl Mechanisms {
    /// The complete protocol.
    pub const ALL: Self = Self {
        own_is_not_free: true,
        one_for_each_thread: true,
        epoch_is_compared: true,
        owner_is_compared: true,
        takes_count_from_sending: true,
        renewals_count_from_sending: true,
        renewal_skips_locked: true,
        commit_extends_lease: true,
        open_transaction_keeps_segment: true,
        lost_commit_drops_segment: true,
        lost_store_is_repeated: true,
        release_stores_cursor: true,
        results_name_epoch: true,
        waits_for_late_thread: true,
        reset_removes_owner: true,
        reset_begins_epoch: true,
        head_before_header: true,
        stop_is_raised: true,
        replaces_at_equal_cursors: true,
        take_respects_stop: true,
        take_compares_slots: true,
        replacing_checks_again: true,
        replacing_spares_own: true,
        replaces_at_once: true,
        new_rows_continue_epochs: true,
    };
}
