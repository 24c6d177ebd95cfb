//! Messages that are counted while they are in memory.

use std::sync::atomic::{AtomicUsize, Ordering};

use persisting_message_bus::Topic;
use serde::{Deserialize, Serialize};

/// The messages of a test.
#[derive(Debug)]
struct Count {
    present: AtomicUsize,
    most: AtomicUsize,
}

/// One for each test, because tests share the process.
static COUNTS: [Count; 3] = [const {
    Count {
        present: AtomicUsize::new(0),
        most: AtomicUsize::new(0),
    }
}; 3];

/// A message of an order, which is counted from its creation until it is dropped.
#[derive(Debug, Serialize, Deserialize)]
pub struct Lot {
    pub order: u64,
    pub number: u64,
    test: Counted,
}

#[derive(Debug, Topic)]
#[topic(name = "orders", key = order: u64)]
pub enum Lots {
    Lot(Lot),
}

/// The number of the test to which a message belongs.
#[derive(Debug, Serialize, Deserialize)]
#[serde(from = "usize")]
struct Counted(usize);

impl From<usize> for Counted {
    fn from(test: usize) -> Self {
        let Count { present, most } = &COUNTS[test];
        let now = present.fetch_add(1, Ordering::SeqCst) + 1;
        most.fetch_max(now, Ordering::SeqCst);
        Self(test)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        COUNTS[self.0].present.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Lot {
    pub fn new(test: usize, order: u64, number: u64) -> Self {
        Self {
            order,
            number,
            test: test.into(),
        }
    }
}

/// Returns how many messages of a test were in memory at once.
pub fn most_at_once(test: usize) -> usize {
    COUNTS[test].most.load(Ordering::SeqCst)
}
