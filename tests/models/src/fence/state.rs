use super::{Fence, PUBLISHERS, TOPICS};
use crate::positions::Positions;

/// How many sequences there are at most.
const SEQUENCES: usize = 2;

/// What the database and the processes know.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub struct State {
    pub(super) database: Database,
    pub(super) publishers: [Publisher; PUBLISHERS],
    pub(super) readers: [Reader; TOPICS],
    /// What a crash of the server leaves.
    pub(super) on_disk: Database,
    pub(super) crashes: u8,
}

/// What everybody sees.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) struct Database {
    /// The sequences' last values.
    pub(super) last: [u8; SEQUENCES],
    /// The committed messages of each topic.
    pub(super) committed: [Positions; TOPICS],
    /// How far each topic's consumer is.
    pub(super) cursors: [u8; TOPICS],
    /// What it was handed.
    pub(super) delivered: [Positions; TOPICS],
}

/// A publisher, with its transaction.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) struct Publisher {
    pub(super) transactions_left: u8,
    pub(super) messages_left: u8,
    pub(super) doing: Publishing,
    pub(super) transaction: Transaction,
    pub(super) savepoint: Savepoint,
}

/// Where it is in the statement that publishes.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) enum Publishing {
    Nothing,
    /// It has read the sequence's last value, and is about to lock.
    Locks {
        topic: usize,
        last: u8,
    },
    /// It is about to draw a position; afterwards to lock, if that comes last.
    Draws {
        topic: usize,
        locks: Option<u8>,
    },
}

/// What ends with a transaction, and is undone with a savepoint.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) struct Transaction {
    pub(super) is_open: bool,
    /// Its messages of each topic.
    pub(super) rows: [Positions; TOPICS],
    /// The locks that it took for each topic: what the sequence's last value was.
    pub(super) locks: [Option<u8>; TOPICS],
    /// The settings that say `held`, each by the first topic that has it.
    pub(super) held: [bool; TOPICS],
}

#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) enum Savepoint {
    NotYet,
    Set(Transaction),
    RolledBack,
}

/// Where a reader is in its look.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) struct Reader {
    pub(super) doing: Reading,
    /// What is committed in the snapshot that it reads rows in, where that is an early one.
    pub(super) snapshot: Option<Positions>,
}

#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) enum Reading {
    Nothing,
    /// It knows the sequence's last value.
    Sequence(u8),
    /// It knows, by the locks, up to where nothing can be committed, if there are any.
    Locks(Option<u8>),
    /// It knows the horizon.
    Horizon(u8),
    /// It knows the last message up to the horizon.
    Head(u8),
}

impl Fence {
    pub(super) fn initial(&self) -> State {
        let database = Database {
            last: [0; SEQUENCES],
            committed: [0; TOPICS],
            cursors: [0; TOPICS],
            delivered: [0; TOPICS],
        };
        State {
            database,
            publishers: self.publishers.map(|publisher| Publisher {
                transactions_left: publisher.transactions,
                ..Publisher::between_transactions(0)
            }),
            readers: [Reader::RESTING; TOPICS],
            on_disk: database,
            crashes: 0,
        }
    }
}

impl Publisher {
    pub(super) const fn between_transactions(transactions_left: u8) -> Self {
        Self {
            transactions_left,
            messages_left: 0,
            doing: Publishing::Nothing,
            transaction: Transaction::NONE,
            savepoint: Savepoint::NotYet,
        }
    }
}

impl Transaction {
    pub(super) const NONE: Self = Self {
        is_open: false,
        rows: [0; TOPICS],
        locks: [None; TOPICS],
        held: [false; TOPICS],
    };
}

impl Reader {
    pub(super) const RESTING: Self = Self {
        doing: Reading::Nothing,
        snapshot: None,
    };
}
