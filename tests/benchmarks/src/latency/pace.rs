use std::fmt;
use std::time::Duration;

/// The rate of publishing.
#[derive(Debug, Clone, Copy)]
pub enum Pace {
    /// This many messages a second, in even gaps.
    Even(u32),
    /// This many messages a second, in exponentially distributed gaps, as from many independent
    /// publishers.
    Random(u32),
    /// Messages without gaps.
    FullLoad,
    /// Messages without gaps, from two publishers. The times are those of one of them.
    TwoAtFullLoad,
}

impl Pace {
    /// Returns the time until the next message, or `None` if that follows at once.
    pub fn gap(self, random: &mut fastrand::Rng) -> Option<Duration> {
        let seconds = match self {
            Self::Even(per_second) => 1.0 / f64::from(per_second),
            // f64() is never 1.
            Self::Random(per_second) => -(1.0 - random.f64()).ln() / f64::from(per_second),
            Self::FullLoad | Self::TwoAtFullLoad => return None,
        };
        Some(Duration::from_secs_f64(seconds))
    }
}

impl fmt::Display for Pace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Even(per_second) => write!(formatter, "{per_second}/s"),
            Self::Random(per_second) => write!(formatter, "{per_second}/s, random"),
            Self::FullLoad => write!(formatter, "full load"),
            Self::TwoAtFullLoad => write!(formatter, "full load, two publishers"),
        }
    }
}
