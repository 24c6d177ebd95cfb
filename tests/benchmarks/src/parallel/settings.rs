//! What is measured.

use std::time::Duration;

use benchmark_rows::Failure;
use serde::{Deserialize, Serialize};

use super::keys::Keys;

/// A measurement.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Settings {
    pub load: Load,
    /// The threads of each process.
    pub threads: usize,
    pub processes: usize,
    pub keys: Keys,
}

/// What the handler does.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub enum Load {
    /// It waits, as for the answer of another service.
    External { millis: u64 },
    /// It inserts a row in the consumer's transaction.
    Transactional,
}

impl Settings {
    pub fn usual(threads: usize) -> Self {
        Self {
            load: Load::External { millis: 50 },
            threads,
            processes: 1,
            keys: Keys::Even(5_000),
        }
    }

    /// Returns the number of segments: four for each thread of all processes.
    pub fn segments(&self) -> u16 {
        u16::try_from(4 * self.threads * self.processes).unwrap_or(u16::MAX)
    }

    /// Returns so many messages that no way handles them all in this time, and twice that time of
    /// warming up.
    pub fn messages(&self, measured: Duration) -> u64 {
        let most_per_second = match self.load {
            Load::External { millis: 0 } => 15_000,
            Load::External { millis } => {
                let of_a_thread = 1_000 / millis;
                (of_a_thread * (self.threads * self.processes) as u64).min(15_000)
            }
            Load::Transactional => 10_000,
        };
        let seconds = measured.as_secs_f64() * 3.0 + 3.0;
        (most_per_second as f64 * seconds) as u64
    }

    /// Returns whether a handler is so fast that all messages can be handled before the time is over.
    pub fn is_fast(&self) -> bool {
        !matches!(self.load, Load::External { millis: 1.. })
    }

    /// Returns the settings as an argument of a process.
    pub fn to_argument(self) -> Result<String, Failure> {
        Ok(serde_json::to_string(&self)?)
    }

    /// Reads what [`to_argument`](Self::to_argument) has written.
    pub fn from_argument(text: &str) -> Result<Self, Failure> {
        Ok(serde_json::from_str(text)?)
    }
}
