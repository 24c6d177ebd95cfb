use super::{MESSAGES, PROCESSES, Page};

/// The number of effects: two of each message, and two of the hook.
pub(super) const EFFECTS: usize = 2 * (MESSAGES + 1);

/// Effects as bits.
pub(super) type Effects = u8;

/// The contents of the database and the memory of the processes.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub struct State {
    pub(super) row: Row,
    /// The note of each message.
    pub(super) notes: [Note; MESSAGES + 1],
    /// The number of commits of each effect.
    pub(super) effects: [u8; EFFECTS],
    pub(super) processes: [Process; PROCESSES],
    pub(super) left: Left,
    pub(super) history: History,
}

/// The number of faults of each kind that can still happen.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) struct Left {
    pub(super) deeds: u8,
    pub(super) errors: u8,
    pub(super) deaths: u8,
    pub(super) expiries: u8,
    pub(super) losses: u8,
}

/// Facts that only the laws need. Sets of messages are bits.
#[derive(Debug, Clone, Copy, PartialEq, Hash, Default)]
pub(super) struct History {
    /// The messages whose handler has done something to its transaction, or has returned an error.
    pub(super) guilty: u8,
    /// The messages whose effects can be repeated, as a holder has announced.
    pub(super) announced: u8,
    /// The messages whose effects were repeated, although no holder has announced this.
    pub(super) unannounced: u8,
    /// The messages that had effects outside of any transaction when their process died, or lost
    /// the lease, before it could note this.
    pub(super) unnoted: u8,
    /// The number of times that the handler of each message has misbehaved.
    pub(super) misbehaved: [u8; MESSAGES + 1],
    /// Whether the hook was called again, although it had returned `Ok`, its effects were
    /// committed, and its process still had the lease.
    pub(super) hook_was_repeated: bool,
}

/// The consumer's row.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) struct Row {
    /// `None` before the hook has been called.
    pub(super) cursor: Option<u8>,
    pub(super) holder: Option<usize>,
    pub(super) epoch: u8,
    pub(super) has_expired: bool,
    /// The mark that work has begun.
    pub(super) begun: bool,
    pub(super) has_stopped: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) enum Note {
    None,
    /// The message has failed this number of times.
    Failing(u8),
    /// Effects of the message are final, so the failure policy is applied without an attempt.
    Final,
    GivenUp,
}

/// A process, with its connection.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) struct Process {
    pub(super) phase: Phase,
    /// The epoch of its lease.
    pub(super) epoch: u8,
    pub(super) search: Search,
    pub(super) transaction: Option<Transaction>,
}

#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) enum Phase {
    Idle,
    /// The process begins a transaction for the range.
    Begins,
    Handles(Run),
    /// The handler has returned.
    Asks(Run, Returned),
    /// The transaction has ended.
    LooksForMark(Run, Returned),
    MovesCursor,
    Commits,
    /// Only in controls: the process stores the cursor before the message, in a transaction of its
    /// own.
    StoresCursor(u8),
    /// The process notes that effects of the message are final.
    NotesFinal {
        message: u8,
        /// Whether the effects of the messages before it are final, too.
        committed: bool,
    },
    RecordsFailure(u8),
    GivesUp(u8),
    /// The hook's transaction was committed early.
    CountsHook,
}

/// A call of a handler.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) struct Run {
    pub(super) message: u8,
    /// The number of its statements with effects so far.
    pub(super) written: u8,
    /// Whether the handler has done something to the transaction.
    pub(super) has_done: bool,
    /// Whether a statement with effects ran after that.
    pub(super) ran_after: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) enum Returned {
    Ok,
    Error,
}

/// The library's `FailureBisection`, with positions for indices.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) struct Search {
    /// The last handled message.
    pub(super) handled: u8,
    /// The last message of the attempt.
    pub(super) end: u8,
    /// A message up to this one fails, or this is the last message of the page.
    pub(super) limit: u8,
    /// The last message of the page.
    pub(super) all: u8,
    pub(super) failing: Option<Failing>,
}

/// The message that is known to fail. It is settled after the messages before it are handled.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) struct Failing {
    pub(super) message: u8,
    /// Whether the failure policy is applied without another attempt.
    pub(super) at_once: bool,
}

/// The uncommitted writes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) struct Transaction {
    /// Whether the library has begun this transaction.
    pub(super) is_own: bool,
    pub(super) is_aborted: bool,
    pub(super) effects: Effects,
    /// Whether the transaction has written, and so locks, the consumer's row.
    pub(super) has_row: bool,
    pub(super) begun: bool,
    pub(super) cursor: Option<u8>,
}

impl Page {
    pub(super) fn initial(&self) -> State {
        State {
            row: Row {
                cursor: (!self.hook).then_some(0),
                holder: None,
                epoch: 0,
                has_expired: false,
                begun: false,
                has_stopped: false,
            },
            notes: [Note::None; MESSAGES + 1],
            effects: [0; EFFECTS],
            processes: [Process::NEW; PROCESSES],
            left: Left {
                deeds: self.most_deeds,
                errors: self.errors,
                deaths: self.deaths,
                expiries: self.expiries,
                losses: self.losses,
            },
            history: History::default(),
        }
    }
}

impl Process {
    pub(super) const NEW: Self = Self {
        phase: Phase::Idle,
        epoch: 0,
        search: Search {
            handled: 0,
            end: 0,
            limit: 0,
            all: 0,
            failing: None,
        },
        transaction: None,
    };
}

impl State {
    /// Returns `true` if a process still has its lease.
    pub(super) fn holds_lease(&self, process: usize) -> bool {
        self.row.holder == Some(process) && self.row.epoch == self.processes[process].epoch
    }

    /// Returns `true` if a transaction of another process locks the row.
    pub(super) fn row_is_locked_for(&self, process: usize) -> bool {
        let mut others = self.processes.iter().enumerate();
        others.any(|(other, it)| {
            other != process
                && it
                    .transaction
                    .is_some_and(|transaction| transaction.has_row)
        })
    }
}

/// Returns the first or the second effect of a message.
pub(super) fn effect(message: u8, second: bool) -> usize {
    2 * usize::from(message) + usize::from(second)
}

/// Returns the message of an effect.
pub(super) fn message_of(effect: usize) -> u8 {
    u8::try_from(effect / 2).unwrap_or(u8::MAX)
}

/// Returns a message as a bit.
pub(super) fn bit(message: u8) -> u8 {
    1 << message
}
