use std::time::Duration;

/// How often and how long to wait between attempts that fail.
///
/// The waiting time is a random one up to `base`, twice `base`, four times and so on, up to `cap`:
/// full jitter, so that those who failed together do not come back together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retry {
    /// The longest waiting time after the first failure; 1 second without this.
    pub base: Duration,
    /// The longest waiting time; 60 seconds without this.
    pub cap: Duration,
    /// How often one message is attempted before the consumer stops in front of it; 8 without this.
    /// Zero is taken as 1. What has nothing to do with a message, such as a lost connection, is
    /// attempted without end.
    pub attempts: u32,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            base: Duration::from_secs(1),
            cap: Duration::from_secs(60),
            attempts: 8,
        }
    }
}

impl Retry {
    /// Sets the longest waiting time after the first failure.
    #[must_use]
    pub fn base(self, base: Duration) -> Self {
        Self { base, ..self }
    }

    /// Sets the longest waiting time.
    #[must_use]
    pub fn cap(self, cap: Duration) -> Self {
        Self { cap, ..self }
    }

    /// Sets how often one message is attempted.
    #[must_use]
    pub fn attempts(self, attempts: u32) -> Self {
        Self { attempts, ..self }
    }

    /// The longest time to wait after so many failures in a row.
    pub(crate) fn longest_after(&self, failures: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
        self.base.saturating_mul(doubled).min(self.cap)
    }
}

/// A random time: full jitter.
pub(crate) fn up_to(longest: Duration) -> Duration {
    longest.mul_f64(fastrand::f64())
}
