use super::{CONSUMERS, Deaths, MESSAGES, PROCESSES};

/// The contents of the database and the memory of the processes.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub struct State {
    pub(super) consumers: [Consumer; CONSUMERS],
    pub(super) processes: [Process; PROCESSES],
    pub(super) left: Left,
    /// The number of deaths by the deadly message. For the laws only.
    pub(super) deaths: u8,
}

/// The number of faults of each kind that can still happen.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) struct Left {
    pub(super) kills: u8,
    pub(super) losses: u8,
    pub(super) expiries: u8,
}

/// A consumer's row, and its failed messages.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) struct Consumer {
    pub(super) cursor: u8,
    pub(super) holder: Option<Owner>,
    pub(super) epoch: u8,
    pub(super) has_expired: bool,
    pub(super) note: Note,
    pub(super) attempts: [u8; MESSAGES],
    /// The messages to which the failure policy was applied, as bits.
    pub(super) given_up: u8,
    /// How often each message was handed out alone when its process died or its lease expired. For
    /// the laws only.
    pub(super) unlucky: [u8; MESSAGES],
}

/// A process between two deaths.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) struct Owner {
    pub(super) process: usize,
    pub(super) life: u8,
}

/// The messages that are handed out.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) enum Note {
    Nothing,
    /// The messages after the cursor, up to this one.
    Page(u8),
    /// The message after the cursor.
    Alone,
}

#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) struct Process {
    pub(super) life: u8,
    /// The thread of each consumer.
    pub(super) threads: [Thread; CONSUMERS],
}

#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) struct Thread {
    pub(super) phase: Phase,
    pub(super) epoch: u8,
    /// The cursor, as far as the thread knows.
    pub(super) handled: u8,
    /// The last message that must be handed out alone.
    pub(super) suspect: u8,
    /// Whether the row can have a note of this thread that a message is alone.
    pub(super) has_turn: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) enum Phase {
    Idle,
    /// The thread counts an attempt of the message after the cursor.
    RecordsAttempt,
    GivesUp,
    /// The thread notes the messages that it hands out next.
    Notes,
    /// The thread hands out the next message.
    Handles {
        /// The last message to hand out.
        end: u8,
    },
    StoresCursor {
        end: u8,
    },
}

impl Deaths {
    pub(super) fn initial(&self) -> State {
        let thread = Thread::IDLE;
        State {
            consumers: [Consumer::NEW; CONSUMERS],
            processes: [Process {
                life: 0,
                threads: [thread; CONSUMERS],
            }; PROCESSES],
            left: Left {
                kills: self.kills,
                losses: self.losses,
                expiries: self.expiries,
            },
            deaths: 0,
        }
    }
}

impl Thread {
    pub(super) const IDLE: Self = Self {
        phase: Phase::Idle,
        epoch: 0,
        handled: 0,
        suspect: 0,
        has_turn: false,
    };

    /// Returns `true` if the thread must hand out one message at a time.
    pub(super) fn is_suspicious(&self) -> bool {
        self.handled < self.suspect
    }

    pub(super) fn hands_out(&self) -> bool {
        matches!(
            self.phase,
            Phase::Handles { .. } | Phase::StoresCursor { .. }
        )
    }
}

impl Consumer {
    const NEW: Self = Self {
        cursor: 0,
        holder: None,
        epoch: 0,
        has_expired: false,
        note: Note::Nothing,
        attempts: [0; MESSAGES],
        given_up: 0,
        unlucky: [0; MESSAGES],
    };
}

impl State {
    pub(super) fn owner(&self, process: usize) -> Owner {
        let life = self.processes[process].life;
        Owner { process, life }
    }

    pub(super) fn holds_lease(&self, process: usize, consumer: usize) -> bool {
        let thread = self.processes[process].threads[consumer];
        self.consumers[consumer].epoch == thread.epoch
            && self.consumers[consumer].holder == Some(self.owner(process))
    }
}

/// Returns a message as a bit.
pub(super) fn bit(message: u8) -> u8 {
    1 << message
}
