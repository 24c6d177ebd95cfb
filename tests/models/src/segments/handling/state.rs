use super::{Handling, MESSAGES, PROCESSES, SEGMENTS};

/// The contents of the database and the memory of the processes.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub struct State {
    /// The last message that is published.
    pub(super) published: u8,
    pub(super) header: Header,
    pub(super) rows: [Row; SEGMENTS],
    /// The number of times that each message took effect since the last reset, at most two.
    pub(super) effects: [u8; MESSAGES],
    pub(super) processes: [Process; PROCESSES],
    /// The position that the operator has read for `stop_at`.
    pub(super) operator: Option<u8>,
    /// Only in controls: the rows are checked, or deleted, and are replaced later.
    pub(super) replacing: bool,
    pub(super) seen: Seen,
    pub(super) left: Left,
}

/// Events that violate a law. For the laws only.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) struct Seen {
    /// A process began a message without the lease.
    pub(super) began_without_lease: bool,
    /// A process began a message of a segment while a thread of that segment was running.
    pub(super) began_beside_thread: bool,
    /// A stored cursor moved to an earlier position.
    pub(super) cursor_went_back: bool,
}

/// The number of events of each kind that can still happen.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) struct Left {
    pub(super) takes: u8,
    pub(super) resets: u8,
    pub(super) resizes: usize,
    pub(super) kills: u8,
    pub(super) suspensions: u8,
    pub(super) losses: u8,
    pub(super) delays: u8,
}

/// The consumer's own row.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) struct Header {
    pub(super) target: Option<usize>,
    pub(super) stop_at: Option<u8>,
}

/// The row of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Hash, Default)]
pub(super) struct Row {
    /// The slots of the segment, as bits. Zero if there is no such segment.
    pub(super) slots: u8,
    pub(super) cursor: u8,
    pub(super) owner: Option<u8>,
    pub(super) epoch: u8,
    /// The units of time until the lease expires.
    pub(super) lasts: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) struct Process {
    /// The number of restarts.
    pub(super) life: u8,
    pub(super) is_suspended: bool,
    /// The first value that the current poll has read.
    pub(super) poll: Option<u8>,
    /// The last message that can be handed out.
    pub(super) bound: u8,
    /// The number of segments that the last poll has seen. Zero if there was none.
    pub(super) seen_segments: usize,
    pub(super) segments: [Option<Segment>; SEGMENTS],
    /// The thread of each segment.
    pub(super) jobs: [Option<Job>; SEGMENTS],
    /// The statement on its way on a lost connection.
    pub(super) late: Option<Late>,
    /// A renewal without an answer yet: the units of time for which the process can count on it.
    pub(super) renewal: Option<u8>,
}

/// A segment, as a process knows it.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) struct Segment {
    pub(super) slots: u8,
    pub(super) epoch: u8,
    /// The last message that is handled.
    pub(super) position: u8,
    /// The cursor in the row, as far as the process knows.
    pub(super) stored: u8,
    /// The units of time for which the process counts on the lease.
    pub(super) lasts: u8,
    /// Whether the answer to the take has arrived.
    pub(super) is_answered: bool,
    /// The store without an answer, with the cursor and whether it releases.
    pub(super) unanswered: Option<(u8, bool)>,
}

/// A message in a thread, with the thread's own copy of the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) struct Job {
    pub(super) epoch: u8,
    pub(super) message: u8,
    pub(super) phase: Phase,
    /// The lease has run out since the message was handed out.
    pub(super) is_overdue: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) enum Phase {
    HandedOut,
    /// The external handler runs.
    Runs,
    /// The transaction is open, and has written the row.
    IsOpen {
        /// The units of time until the lease expires that the transaction has written.
        lasts: u8,
    },
}

/// A statement on its way on a lost connection.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) enum Late {
    Take { owner: u8, segment: usize },
    Store(Store),
    Commit { segment: usize, message: u8 },
}

/// `STORE_AND_HOLD` or `STORE_AND_RELEASE`.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) struct Store {
    pub(super) owner: u8,
    pub(super) segment: usize,
    pub(super) epoch: u8,
    /// `None` only in a control: the cursor is not stored.
    pub(super) cursor: Option<u8>,
    pub(super) releases: bool,
}

impl Handling {
    pub(super) fn initial(&self) -> State {
        let poll_is_over = !self.polls();
        let process = Process {
            bound: if poll_is_over { self.published } else { 0 },
            seen_segments: if poll_is_over { self.segments } else { 0 },
            ..Process::new(0)
        };
        State {
            published: self.published,
            header: Header {
                target: None,
                stop_at: None,
            },
            rows: rows(self.segments, 0, 0),
            effects: [0; MESSAGES],
            processes: [process; PROCESSES],
            operator: None,
            replacing: false,
            seen: Seen {
                began_without_lease: false,
                began_beside_thread: false,
                cursor_went_back: false,
            },
            left: Left {
                takes: self.takes,
                resets: self.resets,
                resizes: self.resizes.len(),
                kills: self.kills,
                suspensions: self.suspensions,
                losses: self.losses,
                delays: self.delays,
            },
        }
    }

    /// Returns the next message of some slots after a position, at or before a bound.
    pub(super) fn next_message(&self, slots: u8, after: u8, bound: u8) -> Option<u8> {
        (after + 1..=bound).find(|message| slots & self.slot(*message) != 0)
    }

    /// Returns the slot of a message as a bit.
    pub(super) fn slot(&self, message: u8) -> u8 {
        1 << self.slots[index(message)]
    }
}

/// All slots, as bits.
pub(super) const RING: u8 = 0b1111;

/// Returns the rows of this number of segments: none, one, two or four.
pub(super) fn rows(segments: usize, cursor: u8, epoch: u8) -> [Row; SEGMENTS] {
    let row = |slots| Row {
        slots,
        cursor,
        epoch,
        ..Row::default()
    };
    let none = Row::default();
    match segments {
        0 => [none; SEGMENTS],
        1 => [row(RING), none, none, none],
        2 => [row(0b0101), row(0b1010), none, none],
        _ => std::array::from_fn(|segment| row(1 << segment)),
    }
}

impl Row {
    pub(super) fn is_free(&self) -> bool {
        self.owner.is_none() || self.lasts == 0
    }
}

impl Process {
    pub(super) const fn new(life: u8) -> Self {
        Self {
            life,
            is_suspended: false,
            poll: None,
            bound: 0,
            seen_segments: 0,
            segments: [None; SEGMENTS],
            jobs: [None; SEGMENTS],
            late: None,
            renewal: None,
        }
    }
}

impl State {
    /// Returns the owner that a process is. After a restart, a process is another owner.
    pub(super) fn owner(&self, process: usize) -> u8 {
        let lives = PROCESSES * usize::from(self.processes[process].life);
        u8::try_from(process + lives).expect("few processes, which are seldom killed")
    }

    pub(super) fn holds(&self, process: usize, segment: usize, epoch: u8) -> bool {
        let row = &self.rows[segment];
        row.owner == Some(self.owner(process)) && row.epoch == epoch
    }

    /// Returns `true` if a transaction has written the row.
    pub(super) fn is_locked(&self, segment: usize) -> bool {
        self.processes.iter().any(|process| {
            let is_open = |job: Job| matches!(job.phase, Phase::IsOpen { .. });
            let is_late = |late| matches!(late, Late::Commit { segment: it, .. } if it == segment);
            process.jobs[segment].is_some_and(is_open) || process.late.is_some_and(is_late)
        })
    }

    /// Returns the rows of the segments that there are.
    pub(super) fn segments(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| row.slots != 0)
    }

    pub(super) fn takes_effect(&mut self, message: u8) {
        let effects = &mut self.effects[index(message)];
        *effects = (*effects + 1).min(2);
    }
}

/// Returns the index of a message.
pub(super) fn index(message: u8) -> usize {
    usize::from(message) - 1
}
