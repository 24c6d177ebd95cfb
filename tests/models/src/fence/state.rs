use super::{Fence, PUBLISHERS, TOPICS};
use crate::positions::Positions;

/// The maximum number of sequences.
const SEQUENCES: usize = 2;

/// The contents of the database and the memory of the processes.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub struct State {
    pub(super) database: Database,
    pub(super) publishers: [Publisher; PUBLISHERS],
    pub(super) readers: [Reader; TOPICS],
    /// The contents of the database after a crash.
    pub(super) on_disk: Database,
    pub(super) crashes: u8,
}

/// The contents of the database.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) struct Database {
    /// The sequences' last values.
    pub(super) last: [u8; SEQUENCES],
    /// The committed messages of each topic.
    pub(super) committed: [Positions; TOPICS],
    /// The cursor of each topic's consumer.
    pub(super) cursors: [u8; TOPICS],
    /// The messages that were handed to each consumer.
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

/// The progress of the statement that publishes.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) enum Publishing {
    Nothing,
    /// The statement has read the sequence's last value, and takes the lock next.
    Locks {
        topic: usize,
        last: u8,
    },
    /// The statement draws a position next. In a control, it takes the lock after that.
    Draws {
        topic: usize,
        locks: Option<u8>,
    },
}

/// The state that ends with a transaction, and that a rollback to a savepoint undoes.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) struct Transaction {
    pub(super) is_open: bool,
    /// The messages of each topic.
    pub(super) rows: [Positions; TOPICS],
    /// The lock that it took for each topic, with the last value that the lock announces.
    pub(super) locks: [Option<u8>; TOPICS],
    /// The settings with the value `held`, each by the first topic that has it.
    pub(super) held: [bool; TOPICS],
}

#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) enum Savepoint {
    NotYet,
    Set(Transaction),
    RolledBack,
}

/// The progress of a reader's poll.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) struct Reader {
    pub(super) doing: Reading,
    /// The committed messages in the snapshot that it reads rows in, if it took that snapshot
    /// early.
    pub(super) snapshot: Option<Positions>,
}

#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) enum Reading {
    Nothing,
    /// The reader has seen a message after its cursor.
    Asked,
    /// Only in a control: the reader has seen no message after its cursor, and continues.
    Idle,
    /// The reader knows the sequence's last value.
    Sequence(u8),
    /// Only in a control: the reader knows the lowest value that the locks announce, if there is
    /// one.
    Locks(Option<u8>),
    /// The reader knows the high-water mark.
    HighWaterMark(u8),
    /// The reader knows the head.
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
