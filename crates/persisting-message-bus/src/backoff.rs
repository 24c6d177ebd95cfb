//! The delay between attempts.

use std::time::Duration;

/// Exponential backoff with full jitter.
///
/// The n-th delay is random between zero and `initial_delay` · 2ⁿ⁻¹, but at most `max_delay`.
/// Jitter keeps clients that failed together from retrying together.
///
/// ```
/// use std::time::Duration;
/// use persisting_message_bus::Backoff;
///
/// let backoff = Backoff::default().initial_delay(Duration::from_millis(100));
/// assert!(backoff.delay_after(3) <= Duration::from_millis(400));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backoff {
    /// The longest delay after the first failure. Default: 1 second. Zero means no delay at all.
    pub initial_delay: Duration,
    /// The longest delay. Default: 60 seconds. Zero means no delay at all.
    pub max_delay: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            initial_delay: Duration::from_secs(1),
            max_delay: Duration::from_secs(60),
        }
    }
}

impl Backoff {
    /// Sets the longest delay after the first failure. Default: 1 second. Zero means no delay at
    /// all.
    #[must_use]
    pub fn initial_delay(self, initial_delay: Duration) -> Self {
        Self {
            initial_delay,
            ..self
        }
    }

    /// Sets the longest delay. Default: 60 seconds. Zero means no delay at all.
    #[must_use]
    pub fn max_delay(self, max_delay: Duration) -> Self {
        Self { max_delay, ..self }
    }

    /// Returns a random delay for use after `failures` failures in a row, which must be at least
    /// one.
    #[must_use]
    pub fn delay_after(&self, failures: u32) -> Duration {
        full_jitter(self.max_delay_after(failures))
    }

    /// Returns the longest delay after `failures` failures in a row.
    pub(crate) fn max_delay_after(&self, failures: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
        self.initial_delay
            .saturating_mul(doubled)
            .min(self.max_delay)
    }
}

/// Returns a random delay between zero and `longest`.
pub(crate) fn full_jitter(longest: Duration) -> Duration {
    longest.mul_f64(fastrand::f64())
}
