use super::{PUBLISHERS, READERS, SLOTS, Slots};
use crate::positions::Positions;

/// The contents of the database and the memory of the processes.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub struct State {
    pub(super) database: Database,
    /// The contents of the database after a crash.
    pub(super) on_disk: Database,
    pub(super) publishers: [Publisher; PUBLISHERS],
    pub(super) readers: [Reader; READERS],
    pub(super) reader_restarts: u8,
    /// The run of the server: the number of its crashes so far.
    pub(super) run: u8,
}

/// The contents of the database.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) struct Database {
    /// The position that was drawn last.
    pub(super) drawn: u8,
    /// The topic's committed messages.
    pub(super) committed: Positions,
    /// The committed messages of the other topic.
    pub(super) committed_elsewhere: Positions,
    /// Whether the topic's slots exist.
    pub(super) has_slots: bool,
    /// The cursor of the consumer.
    pub(super) cursor: u8,
    /// The messages that were handed to the consumer.
    pub(super) delivered: Positions,
}

/// A publisher, with its transaction.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) struct Publisher {
    pub(super) transactions_left: u8,
    pub(super) messages_left: u8,
    pub(super) is_open: bool,
    pub(super) holds: Held,
    pub(super) rows: Positions,
}

/// The slots that a transaction has locked.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) enum Held {
    Nothing,
    Slot(usize),
    /// The transaction has inserted the slots.
    All,
}

/// A process of the consumer.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) struct Reader {
    pub(super) doing: Reading,
    /// The committed messages in the snapshot that it reads rows in, if it took that snapshot
    /// early.
    pub(super) snapshot: Option<Positions>,
    pub(super) observations: Observations,
}

/// The progress of a reader's poll.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) enum Reading {
    Nothing,
    /// The reader reads the slots, one after the other.
    Slots {
        /// The last position, if the reader knows it already.
        last: Option<u8>,
        looked_at: usize,
        free: [bool; SLOTS],
    },
    /// The reader knows the high-water mark.
    HighWaterMark(u8),
    /// The reader knows the head.
    Head(u8),
}

/// The library's `SlotObservations`.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) struct Observations {
    pub(super) free_at: [Option<u8>; SLOTS],
    pub(super) last: u8,
    /// The run of the server in which they were made.
    pub(super) run: u8,
}

impl Slots {
    pub(super) fn initial(&self) -> State {
        let database = Database {
            drawn: 0,
            committed: 0,
            committed_elsewhere: 0,
            has_slots: !self.topic_is_new,
            cursor: 0,
            delivered: 0,
        };
        State {
            database,
            on_disk: database,
            publishers: self
                .publishers
                .map(|publisher| Publisher::between_transactions(publisher.transactions)),
            readers: [Reader::NEW; READERS],
            reader_restarts: 0,
            run: 0,
        }
    }
}

impl Publisher {
    pub(super) const fn between_transactions(transactions_left: u8) -> Self {
        Self {
            transactions_left,
            messages_left: 0,
            is_open: false,
            holds: Held::Nothing,
            rows: 0,
        }
    }
}

impl Reader {
    /// A process without observations.
    pub(super) const NEW: Self = Self {
        doing: Reading::Nothing,
        snapshot: None,
        observations: Observations {
            free_at: [None; SLOTS],
            last: 0,
            run: 0,
        },
    };

    pub(super) fn rests(&mut self) {
        self.doing = Reading::Nothing;
        self.snapshot = None;
    }
}
