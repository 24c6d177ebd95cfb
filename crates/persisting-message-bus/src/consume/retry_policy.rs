use std::time::Duration;

use crate::backoff::Backoff;
use crate::consume::caution::Patience;
use crate::store::failures::FailurePolicy;

/// The number of attempts for a failing message, the delays between them, and the policy after the
/// last attempt.
///
/// ```
/// use std::time::Duration;
/// use persisting_message_bus::{FailurePolicy, RetryPolicy};
///
/// let policy = RetryPolicy::default()
///     .initial_delay(Duration::from_millis(200))
///     .max_attempts(5)
///     .on_exhausted(FailurePolicy::Park);
/// assert_eq!(policy.max_attempts, 5);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// The delays between attempts.
    pub backoff: Backoff,
    /// The number of attempts for a message. Default: 8. Zero means 1. Failures that have nothing
    /// to do with a message, such as an unreachable database, are retried without a limit.
    pub max_attempts: u32,
    /// How long deadlocks, timeouts and lost connections can interrupt a message before each
    /// interruption counts as a failed attempt. Default: 15 minutes. Zero counts every
    /// interruption.
    pub transient_timeout: Duration,
    /// The policy after the last attempt. Default: the consumer stops before the message.
    pub on_exhausted: FailurePolicy,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            backoff: Backoff::default(),
            max_attempts: 8,
            transient_timeout: Duration::from_secs(15 * 60),
            on_exhausted: FailurePolicy::Stop,
        }
    }
}

impl RetryPolicy {
    /// Sets the delays between attempts. Default: [`Backoff::default`].
    #[must_use]
    pub fn backoff(self, backoff: Backoff) -> Self {
        Self { backoff, ..self }
    }

    /// Sets the longest delay after the first failure. Default: 1 second. Zero means no delay at
    /// all.
    #[must_use]
    pub fn initial_delay(self, initial_delay: Duration) -> Self {
        let backoff = self.backoff.initial_delay(initial_delay);
        Self { backoff, ..self }
    }

    /// Sets the longest delay. Default: 60 seconds.
    #[must_use]
    pub fn max_delay(self, max_delay: Duration) -> Self {
        let backoff = self.backoff.max_delay(max_delay);
        Self { backoff, ..self }
    }

    /// Sets the number of attempts for a message. Default: 8. Zero means 1.
    #[must_use]
    pub fn max_attempts(self, max_attempts: u32) -> Self {
        Self {
            max_attempts,
            ..self
        }
    }

    /// Sets how long a message can be interrupted before each interruption counts as a failed
    /// attempt. Default: 15 minutes. Zero counts every interruption.
    #[must_use]
    pub fn transient_timeout(self, transient_timeout: Duration) -> Self {
        Self {
            transient_timeout,
            ..self
        }
    }

    /// Sets the policy after the last attempt. Default: the consumer stops before the message.
    #[must_use]
    pub fn on_exhausted(self, on_exhausted: FailurePolicy) -> Self {
        Self {
            on_exhausted,
            ..self
        }
    }

    /// Returns the policy after so many failed attempts, or `None` if the message is attempted
    /// again.
    pub(crate) fn exhausted_after(&self, attempts: u32) -> Option<FailurePolicy> {
        (attempts >= self.at_most()).then_some(self.on_exhausted)
    }

    /// Returns the limits for interruptions.
    pub(crate) fn patience(&self) -> Patience {
        Patience {
            attempts: self.at_most(),
            timeout: self.transient_timeout,
        }
    }

    /// Returns the number of attempts for a message, which is at least 1.
    pub(crate) fn at_most(&self) -> u32 {
        self.max_attempts.max(1)
    }
}
