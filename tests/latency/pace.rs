use std::fmt;
use std::time::Duration;

/// How often something is published.
pub struct Pace {
    per_second: u32,
    is_random: bool,
}

impl Pace {
    /// In even gaps.
    pub fn even(per_second: u32) -> Self {
        Self {
            per_second,
            is_random: false,
        }
    }

    /// In random gaps, as of many that know nothing of each other: exponentially distributed.
    pub fn random(per_second: u32) -> Self {
        Self {
            per_second,
            is_random: true,
        }
    }

    /// The time until the next message.
    pub fn gap(&self, random: &mut fastrand::Rng) -> Duration {
        let gaps = match self.is_random {
            // f64() is never 1.
            true => -(1.0 - random.f64()).ln(),
            false => 1.0,
        };
        Duration::from_secs_f64(gaps / f64::from(self.per_second))
    }
}

impl fmt::Display for Pace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gaps = if self.is_random { ", random" } else { "" };
        write!(formatter, "{}/s{gaps}", self.per_second)
    }
}
