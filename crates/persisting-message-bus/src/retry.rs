use std::time::Duration;

use crate::GiveUp;
use crate::consumer::Patience;

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
    /// How often one message is attempted; 8 without this. Zero is taken as 1. What has nothing to do
    /// with a message, such as a database that cannot be reached, is attempted without end.
    pub attempts: u32,
    /// For how long a message may be interrupted, by deadlocks, timeouts, lost connections, before each
    /// interruption counts as a failed attempt; 15 minutes without this. Zero counts all.
    pub transient_timeout: Duration,
    /// What becomes of a message that failed so often; the consumer stops in front of it without this.
    pub then: GiveUp,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            base: Duration::from_secs(1),
            cap: Duration::from_secs(60),
            attempts: 8,
            transient_timeout: Duration::from_secs(15 * 60),
            then: GiveUp::Stop,
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

    /// Sets for how long a message may be interrupted before that counts.
    #[must_use]
    pub fn transient_timeout(self, transient_timeout: Duration) -> Self {
        Self {
            transient_timeout,
            ..self
        }
    }

    /// Sets what becomes of a message that failed so often.
    #[must_use]
    pub fn then(self, then: GiveUp) -> Self {
        Self { then, ..self }
    }

    /// A random time to wait after so many failures in a row, of which there is one at least.
    #[must_use]
    pub fn waiting_time(&self, failures: u32) -> Duration {
        up_to(self.longest_after(failures))
    }

    /// What becomes of a message that has failed so often, if it is not to be tried again.
    pub(crate) fn gives_up_after(&self, attempts: u32) -> Option<GiveUp> {
        (attempts >= self.most_attempts()).then_some(self.then)
    }

    /// How long interruptions go on before they count.
    pub(crate) fn patience(&self) -> Patience {
        Patience {
            attempts: self.most_attempts(),
            timeout: self.transient_timeout,
        }
    }

    pub(crate) fn most_attempts(&self) -> u32 {
        self.attempts.max(1)
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
