use super::{Leases, MESSAGES, PROCESSES};

/// The contents of the database and the memory of the processes.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub struct State {
    pub(super) database: Database,
    /// The contents of the database after a crash.
    pub(super) on_disk: Database,
    /// The messages for which an external handler was called since the last reset, as bits.
    pub(super) called: u8,
    pub(super) processes: [Process; PROCESSES],
    /// The lease of an operator that resets the consumer.
    pub(super) reset: Option<Lease>,
    pub(super) left: Left,
}

/// The number of events of each kind that can still happen.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) struct Left {
    pub(super) failures: u8,
    pub(super) redrives: u8,
    pub(super) resets: u8,
    pub(super) expiries: u8,
    pub(super) deaths: u8,
    pub(super) losses: u8,
    pub(super) crashes: u8,
}

/// The consumer's row, its failed messages, and the effects of transactional handlers.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) struct Database {
    pub(super) cursor: u8,
    pub(super) owner: Option<u8>,
    pub(super) epoch: u8,
    pub(super) has_expired: bool,
    /// The note of each message. Numbers begin at 1, indices at zero.
    pub(super) notes: [Note; MESSAGES],
    /// The number of commits of each message's effects since the last reset.
    pub(super) effects: [u8; MESSAGES],
}

#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) enum Note {
    None,
    /// The message has failed this number of times.
    Failing(u8),
    Parked,
    Redriven,
}

/// A lease, as its holder knows it.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) struct Lease {
    pub(super) owner: u8,
    pub(super) epoch: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) struct Process {
    /// The number of restarts.
    pub(super) life: u8,
    pub(super) phase: Phase,
    pub(super) lease: Lease,
    /// The messages that it works on.
    pub(super) work: Work,
    pub(super) transaction: Option<Transaction>,
    /// The statement or transaction on its way on a lost connection.
    pub(super) late: Option<Late>,
}

/// The next action of a process.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) enum Phase {
    Idle,
    /// It takes the lease, for redriven messages or for a page.
    Takes {
        redriven: bool,
    },
    /// BEGIN, and the touch.
    Begins,
    Handles,
    StoresCursor,
    Commits,
    RecordsFailure,
    GivesUp,
    /// Only in controls: the second write of `GivesUp`.
    GivesUpRest,
    ReadsRedriven,
    BeginsRedriven,
    HandlesRedriven,
    CommitsRedriven,
    /// Only in a control.
    Renews,
    TakesRedriven,
    ParksAgain,
    Releases,
}

/// The page, or the redriven message. All fields are zero if there is none.
#[derive(Debug, Clone, Copy, PartialEq, Hash, Default)]
pub(super) struct Work {
    /// The cursor before the page.
    pub(super) start: u8,
    /// The last handled message.
    pub(super) handled: u8,
    /// The last message of the attempt.
    pub(super) end: u8,
    /// The message that fails or is redriven.
    pub(super) message: u8,
}

/// The uncommitted writes of a connection. It has written the consumer's row.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) struct Transaction {
    /// The effects of messages, as bits.
    pub(super) effects: u8,
    pub(super) cursor: Option<u8>,
    pub(super) releases: bool,
    /// The redriven message whose note it has taken, or zero.
    pub(super) taken: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) enum Late {
    Statement(Statement),
    Transaction {
        transaction: Transaction,
        /// Whether COMMIT is on its way, too.
        commits: bool,
    },
}

/// A statement that commits by itself, or a transaction of the library's own.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) enum Statement {
    /// `TAKE`.
    Take { owner: u8 },
    /// `STORE_AND_HOLD`, `STORE_AND_RELEASE`.
    StoreCursor {
        lease: Lease,
        cursor: u8,
        releases: bool,
    },
    /// `record`: `RENEW` and the note.
    RecordFailure {
        lease: Lease,
        message: u8,
        parks: bool,
    },
    /// `give_up`: `STORE_AND_RELEASE` and `SET_STATE`.
    GiveUp { lease: Lease, message: u8 },
    /// Only in controls: `SET_STATE` alone.
    SetParked { message: u8 },
    /// `RENEW`.
    Renew { lease: Lease },
    /// `RENEW` and `TAKE_REDRIVEN`. In a control, only the second.
    TakeRedriven { lease: Lease, message: u8 },
    /// `RELEASE`.
    Release { lease: Lease },
}

impl Leases {
    pub(super) fn initial(&self) -> State {
        assert!(
            self.resets == 0 || self.crashes == 0,
            "resets without crashes"
        );
        let database = Database {
            cursor: 0,
            owner: None,
            epoch: 0,
            has_expired: false,
            notes: [Note::None; MESSAGES],
            effects: [0; MESSAGES],
        };
        State {
            database,
            on_disk: database,
            called: 0,
            processes: [Process::NEW; PROCESSES],
            reset: None,
            left: Left {
                failures: self.failures,
                redrives: self.redrives,
                resets: self.resets,
                expiries: self.expiries,
                deaths: self.deaths,
                losses: self.losses,
                crashes: self.crashes,
            },
        }
    }
}

impl Process {
    const NEW: Self = Self {
        life: 0,
        phase: Phase::Idle,
        lease: Lease { owner: 0, epoch: 0 },
        work: Work {
            start: 0,
            handled: 0,
            end: 0,
            message: 0,
        },
        transaction: None,
        late: None,
    };

    /// Returns the number of messages that its transaction has handled.
    pub(super) fn handled_in_transaction(&self) -> u8 {
        let effects = self
            .transaction
            .map_or(0, |transaction| transaction.effects);
        u8::try_from(effects.count_ones()).unwrap_or(0)
    }

    /// Ends the work of a process that no longer has a lease.
    pub(super) fn rests(&mut self) {
        self.phase = Phase::Idle;
        self.lease = Self::NEW.lease;
        self.work = Work::default();
        self.transaction = None;
    }
}

impl State {
    /// Returns the owner that a process is. After a restart, a process is another owner.
    pub(super) fn owner(&self, process: usize) -> u8 {
        let number = u8::from(process == 1);
        number + 2 * self.processes[process].life
    }

    /// Returns `true` if a transaction locks the row, other than that of `process`.
    pub(super) fn row_is_locked_for(&self, process: Option<usize>) -> bool {
        let mut processes = self.processes.iter().enumerate();
        processes.any(|(other, it)| {
            let is_late = matches!(it.late, Some(Late::Transaction { .. }));
            is_late || Some(other) != process && it.transaction.is_some()
        })
    }

    /// Returns the transactions that are open on the server.
    pub(super) fn open_transactions(&self) -> impl Iterator<Item = Transaction> {
        self.processes.iter().flat_map(|it| {
            let late = match it.late {
                Some(Late::Transaction { transaction, .. }) => Some(transaction),
                _ => None,
            };
            it.transaction.into_iter().chain(late)
        })
    }
}

impl Database {
    pub(super) fn note(&mut self, message: u8) -> &mut Note {
        &mut self.notes[usize::from(message) - 1]
    }

    /// Returns the first redriven message.
    pub(super) fn redriven(&self) -> Option<u8> {
        let mut notes = (1..).zip(self.notes);
        notes.find_map(|(message, note)| (note == Note::Redriven).then_some(message))
    }
}

/// Returns a message as a bit.
pub(super) fn bit(message: u8) -> u8 {
    1 << message
}
