use super::{PUBLISHERS, READERS, SLOTS, Slots};
use crate::positions::Positions;

/// What the database and the processes know.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub struct State {
    pub(super) database: Database,
    /// What a crash of the server leaves.
    pub(super) on_disk: Database,
    pub(super) publishers: [Publisher; PUBLISHERS],
    pub(super) readers: [Reader; READERS],
    pub(super) reader_restarts: u8,
    /// Which run of the server it is: how often it has crashed.
    pub(super) run: u8,
}

/// What everybody sees.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) struct Database {
    /// The last position that was drawn.
    pub(super) drawn: u8,
    /// The topic's committed messages.
    pub(super) committed: Positions,
    /// Those of the other topic.
    pub(super) committed_elsewhere: Positions,
    /// Whether the topic's slots are there.
    pub(super) has_slots: bool,
    /// How far the consumer is.
    pub(super) cursor: u8,
    /// What it was handed.
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
    /// It has inserted them.
    All,
}

/// A process that reads.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) struct Reader {
    pub(super) doing: Reading,
    /// What is committed in the snapshot that it reads rows in, where that is an early one.
    pub(super) snapshot: Option<Positions>,
    pub(super) sightings: Sightings,
}

/// Where a reader is in its look.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) enum Reading {
    Nothing,
    /// It looks at the slots, one after the other.
    Slots {
        /// The last position, if it knows that already.
        last: Option<u8>,
        looked_at: usize,
        free: [bool; SLOTS],
    },
    /// It knows the horizon.
    Horizon(u8),
    /// It knows the last message up to the horizon.
    Head(u8),
}

/// The library's `Sightings`.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) struct Sightings {
    pub(super) free_at: [Option<u8>; SLOTS],
    pub(super) last: u8,
    /// The run of the server that this is about.
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
    /// A process that remembers nothing.
    pub(super) const NEW: Self = Self {
        doing: Reading::Nothing,
        snapshot: None,
        sightings: Sightings {
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
