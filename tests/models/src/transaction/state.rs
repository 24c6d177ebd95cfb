use super::{MESSAGES, PROCESSES, Page};

/// How many effects are told apart: two of each message, and two of the hook.
pub(super) const EFFECTS: usize = 2 * (MESSAGES + 1);

/// Effects as bits.
pub(super) type Effects = u8;

/// What the database and the processes know.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub struct State {
    pub(super) row: Row,
    /// What is noted of each message.
    pub(super) notes: [Note; MESSAGES + 1],
    /// How often each effect is committed.
    pub(super) effects: [u8; EFFECTS],
    pub(super) processes: [Process; PROCESSES],
    pub(super) left: Left,
    pub(super) history: History,
}

/// What may still go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) struct Left {
    pub(super) deeds: u8,
    pub(super) errors: u8,
    pub(super) deaths: u8,
    pub(super) expiries: u8,
    pub(super) losses: u8,
}

/// What the laws have to know, and nobody else does. Of messages, as bits.
#[derive(Debug, Clone, Copy, PartialEq, Hash, Default)]
pub(super) struct History {
    /// Whose handler has done something to its transaction, or has returned an error.
    pub(super) guilty: u8,
    /// Whose effects have come again, in a process that did not know that they might.
    pub(super) unannounced: u8,
    /// Who had effects outside of any transaction when its process died, or lost the lease, before
    /// that could be noted.
    pub(super) unnoted: u8,
    /// How often the handler of each message has misbehaved.
    pub(super) misbehaved: [u8; MESSAGES + 1],
    /// Whether the hook was called again although it had returned Ok, its effects were committed, and
    /// nothing came between.
    pub(super) hook_was_repeated: bool,
}

/// The consumer's row.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) struct Row {
    /// `None` at the start.
    pub(super) cursor: Option<u8>,
    pub(super) holder: Option<usize>,
    pub(super) epoch: u8,
    pub(super) has_expired: bool,
    pub(super) begun: Option<Mark>,
    pub(super) has_stopped: bool,
}

/// That work has begun.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) struct Mark {
    /// In which epoch; zero where that is not said, or where it was an earlier one.
    pub(super) epoch: u8,
    /// Up to which message effects may be final.
    pub(super) until: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) enum Note {
    None,
    /// After so many attempts.
    Failing(u8),
    /// It is to be given up when the consumer comes to it, as effects of it are final.
    Final,
    GivenUp,
}

/// A process, with its connection.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) struct Process {
    pub(super) phase: Phase,
    /// That of its lease.
    pub(super) epoch: u8,
    /// Up to which message effects may come again, as the mark of an earlier lease has told.
    pub(super) may_repeat_until: u8,
    pub(super) search: Search,
    pub(super) transaction: Option<Transaction>,
}

#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) enum Phase {
    Idle,
    /// It is to begin a transaction for the range.
    Begins,
    Handles(Run),
    /// The handler has returned.
    Asks(Run, Returned),
    /// The transaction is not there any more.
    LooksForMark(Run, Returned),
    MovesCursor,
    Commits,
    /// The cursor before the message first, in a transaction of its own.
    StoresCursor(u8),
    /// The note first.
    NotesFinal(Failing),
    RecordsFailure(u8),
    GivesUp(u8),
    /// The hook's transaction was committed early.
    CountsHook,
}

/// A call of a handler.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) struct Run {
    pub(super) message: u8,
    /// How many statements it has run that have effects.
    pub(super) written: u8,
    /// Whether it has done something to the transaction.
    pub(super) has_done: bool,
    /// Whether one of these statements ran after that.
    pub(super) ran_after: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) enum Returned {
    Ok,
    Error,
}

/// The library's `Search`, with positions for indices.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) struct Search {
    /// Up to where the page is handled.
    pub(super) handled: u8,
    /// Where the attempt ends.
    pub(super) end: u8,
    /// Some message up to here fails, or it is the page's end.
    pub(super) limit: u8,
    /// Where the page ends.
    pub(super) all: u8,
    pub(super) failing: Option<Failing>,
}

/// The message that is known to fail, when those before it are handled.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) struct Failing {
    pub(super) message: u8,
    /// Whether it is given up without another attempt.
    pub(super) at_once: bool,
}

/// What a connection has not committed.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) struct Transaction {
    /// Whether it is the one that the library has begun.
    pub(super) is_own: bool,
    pub(super) is_aborted: bool,
    pub(super) effects: Effects,
    /// Whether it has written the consumer's row, which it keeps locked.
    pub(super) has_row: bool,
    pub(super) begun: Option<Mark>,
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
                begun: None,
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
        may_repeat_until: 0,
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
    /// Whether a process still has its lease.
    pub(super) fn holds_lease(&self, process: usize) -> bool {
        self.row.holder == Some(process) && self.row.epoch == self.processes[process].epoch
    }

    /// Whether another one's transaction keeps the row locked.
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

/// The first effect of a message, or its second.
pub(super) fn effect(message: u8, second: bool) -> usize {
    2 * usize::from(message) + usize::from(second)
}

/// Whose effect it is.
pub(super) fn message_of(effect: usize) -> u8 {
    u8::try_from(effect / 2).unwrap_or(u8::MAX)
}

/// A message as a bit.
pub(super) fn bit(message: u8) -> u8 {
    1 << message
}
