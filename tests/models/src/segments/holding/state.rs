use super::{Holding, LEASE, PROCESSES, SEGMENTS};

/// The contents of the database and the memory of the processes.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub struct State {
    pub(super) rows: [Row; SEGMENTS],
    /// The segments by the time at which their cursors moved. The first has waited longest.
    pub(super) order: [usize; SEGMENTS],
    pub(super) processes: [Process; PROCESSES],
    /// The takes of other segments since the watched segment was free and had work. For the laws
    /// only.
    pub(super) passes: u8,
    /// The polls of each process, with their takes, that began and ended since the watched segment was
    /// free and had work. For the laws only.
    pub(super) polls: [u8; PROCESSES],
    /// The processes whose last poll began since then, as bits.
    pub(super) polling: u8,
    pub(super) left: Left,
}

/// The order in which no segment has been worked on.
const BY_NUMBER: [usize; SEGMENTS] = [0, 1, 2, 3];

/// The number of faults of each kind that can still happen.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) struct Left {
    pub(super) kills: u8,
    pub(super) suspensions: u8,
    pub(super) losses: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) struct Row {
    pub(super) owner: Option<Owner>,
    /// The units of time until the lease expires.
    pub(super) lasts: u8,
    pub(super) has_work: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) enum Owner {
    Process(usize),
    /// A process that was killed.
    Killed,
}

#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub(super) struct Process {
    pub(super) is_suspended: bool,
    /// The segments by the time at which their cursors moved, or at which this process released them.
    pub(super) order: [usize; SEGMENTS],
    /// The segments that the last poll has chosen and that are not taken yet, as bits.
    pub(super) chosen: u8,
    /// For each segment that the process knows, the units of time for which it counts on the lease.
    pub(super) known: [Option<u8>; SEGMENTS],
}

impl Holding {
    pub(super) fn initial(&self) -> State {
        State {
            rows: [Row {
                owner: None,
                lasts: 0,
                has_work: true,
            }; SEGMENTS],
            order: BY_NUMBER,
            processes: [Process::after(BY_NUMBER); PROCESSES],
            passes: 0,
            polls: [0; PROCESSES],
            polling: 0,
            left: Left {
                kills: self.kills,
                suspensions: self.suspensions,
                losses: self.losses,
            },
        }
    }
}

impl Row {
    pub(super) fn is_free(&self) -> bool {
        self.owner.is_none() || self.lasts == 0
    }

    pub(super) fn is_taken_by(&mut self, process: usize) {
        self.owner = Some(Owner::Process(process));
        self.lasts = LEASE;
    }
}

impl Process {
    /// Returns a process that knows of the segments only when their cursors moved.
    pub(super) const fn after(order: [usize; SEGMENTS]) -> Self {
        Self {
            is_suspended: false,
            order,
            chosen: 0,
            known: [None; SEGMENTS],
        }
    }

    /// Returns the number of segments that the process knows.
    pub(super) fn holds(&self) -> usize {
        self.known.iter().flatten().count()
    }
}

impl State {
    /// Returns `true` if a process holds the lease that it knows of.
    pub(super) fn knows_latest(&self, process: usize, segment: usize) -> bool {
        self.processes[process].known[segment].is_some()
            && self.rows[segment].owner == Some(Owner::Process(process))
    }

    /// The cursor of a segment has moved, so that it is the last for all processes.
    pub(super) fn has_moved(&mut self, segment: usize) {
        to_the_end(&mut self.order, segment);
        for process in &mut self.processes {
            to_the_end(&mut process.order, segment);
        }
    }

    /// A process has released a segment, so that it is the last for that process.
    pub(super) fn is_released(&mut self, process: usize, segment: usize) {
        to_the_end(&mut self.processes[process].order, segment);
    }
}

/// Moves a segment to the end of the order.
fn to_the_end(order: &mut [usize; SEGMENTS], segment: usize) {
    let from = order.iter().position(|it| *it == segment);
    order[from.unwrap_or(0)..].rotate_left(1);
}

/// Returns a segment as a bit.
pub(super) fn bit(segment: usize) -> u8 {
    1 << segment
}
