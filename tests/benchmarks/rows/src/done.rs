use std::iter::Sum;
use std::time::Instant;

use serde::{Deserialize, Serialize};

/// A number of messages, and the time that they took.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Done {
    pub messages: usize,
    pub seconds: f64,
}

impl Done {
    pub fn since(begun: Instant, messages: usize) -> Self {
        let seconds = begun.elapsed().as_secs_f64();
        Self { messages, seconds }
    }

    pub fn per_second(self) -> f64 {
        self.messages as f64 / self.seconds
    }
}

impl Sum for Done {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, done| Self {
            messages: sum.messages + done.messages,
            seconds: sum.seconds + done.seconds,
        })
    }
}
