//! Decides the next step of a consumer, as a pure function of the last outcome.

use std::time::Duration;

use crate::consume::retry_policy::RetryPolicy;
use crate::error::Error;
use crate::position::Position;

/// The outcome of an attempt.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The poll was empty, and stays so while the `ChangeToken` from before it is the same.
    Nothing(Option<ChangeToken>),
    /// The consumer did not poll, because the `ChangeToken` was the same.
    Unchanged,
    /// So many messages were handled. Zero: other messages were skipped.
    Handled(usize),
    Failed(Error),
    /// There is no connection.
    NotConnected(Error),
}

impl Outcome {
    /// Returns the error, if there is one.
    pub(super) fn into_error(self) -> Option<Error> {
        match self {
            Self::Failed(error) | Self::NotConnected(error) => Some(error),
            Self::Nothing(_) | Self::Unchanged | Self::Handled(_) => None,
        }
    }

    /// Returns the error, if there is one.
    pub(super) fn error(&self) -> Option<&Error> {
        match self {
            Self::Failed(error) | Self::NotConnected(error) => Some(error),
            Self::Nothing(_) | Self::Unchanged | Self::Handled(_) => None,
        }
    }
}

/// The object of a failure. Each object has attempts of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failing {
    Message(Position),
    Hook,
    Bus,
}

impl Failing {
    fn of(error: &Error) -> Self {
        match error.position() {
            Some(position) => Self::Message(position),
            None if error.is_handler_failure() => Self::Hook,
            None => Self::Bus,
        }
    }
}

/// A value that differs when there can be new messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ChangeToken {
    /// The source's change token, for commits of other connections.
    pub(super) changes: i64,
    pub(super) wakes: u64,
}

/// The next step of a consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Handle the next page.
    GoOn,
    /// Poll again after that time, or when a wake arrives.
    Poll(Duration),
    /// Try again after a random time up to this.
    RetryWithin(Duration),
    /// Try again after that time.
    RetryAfter(Duration),
    /// Try again after a random time up to this, with a new connection. The present one is
    /// abandoned, because a pool would hand it out again.
    ReconnectWithin(Duration),
    /// Stop, because no retry can help.
    Stop,
}

/// The state that is kept from one attempt to the next.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Progress {
    /// The last wait of an idle consumer, if there was no message since.
    waited: Duration,
    /// The token from before the last poll, if that was empty. This consumer's own commits do not
    /// show in it.
    token: Option<ChangeToken>,
    /// How much longer the same `ChangeToken` replaces a poll.
    rest: Duration,
    /// How often the same object has failed in a row.
    failures: u32,
    failed_at: Option<Failing>,
    /// Whether the last error was one that ends the consumer if another connection has it, too.
    is_doubted: bool,
}

/// The pace at which a consumer runs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    pub(super) idle_interval: Duration,
    pub(super) retry: RetryPolicy,
    pub(super) connect_timeout: Duration,
}

/// The first interval between polls after activity.
const MIN_POLL: Duration = Duration::from_millis(1);

/// The checks of the token per idle interval. A check is 1 statement. A poll is 4, with the check.
const SIGNS_PER_INTERVAL: u32 = 3;

/// After about so many idle intervals, a consumer polls although the token is the same, because a
/// poll also depends on state that need not be where the messages are.
const MAX_REST: u32 = 3;

/// After so many conflicts with other transactions in a row, another connection is tried, because
/// the cause can be a setting of the session, such as a short timeout.
const CONFLICTS_PER_CONNECTION: u32 = 3;

/// The connections of a pool that are abandoned in a row without a longer delay. A failover can
/// leave a pool with several useless connections, and r2d2's pools have 10 by default.
const PROMPT_RECONNECTS: u32 = 16;

/// The longest delay before such a connection is replaced.
const PROMPT_DELAY: Duration = Duration::from_secs(1);

impl Progress {
    /// Returns how often the same object has failed in a row.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    pub(super) fn step(&mut self, outcome: &Outcome, pace: &Pace) -> Next {
        match outcome {
            Outcome::Nothing(token) => {
                self.token = *token;
                self.rest = pace.idle_interval.saturating_mul(MAX_REST);
                self.idle(pace.idle_interval)
            }
            Outcome::Unchanged => self.idle(pace.idle_interval / SIGNS_PER_INTERVAL),
            Outcome::Handled(0) => {
                self.token = None;
                self.idle(pace.idle_interval)
            }
            Outcome::Handled(_) => {
                *self = Self::default();
                Next::GoOn
            }
            Outcome::Failed(error) => {
                self.token = None;
                let was_doubted = std::mem::take(&mut self.is_doubted);
                self.failed(error, pace, was_doubted)
            }
            Outcome::NotConnected(error) => {
                self.token = None;
                self.count(error);
                Next::ReconnectWithin(pace.retry.backoff.max_delay_after(self.failures))
            }
        }
    }

    /// Returns whether the same `ChangeToken` shows that a poll would be empty.
    pub(super) fn can_rest(&self, token: Option<ChangeToken>) -> bool {
        token.is_some() && token == self.token && !self.rest.is_zero()
    }

    fn idle(&mut self, longest: Duration) -> Next {
        let longer = self.waited.saturating_mul(3) / 2;
        self.waited = longer.max(MIN_POLL).min(longest);
        self.rest = self.rest.saturating_sub(self.waited);
        (self.failures, self.failed_at, self.is_doubted) = (0, None, false);
        Next::Poll(self.waited)
    }

    /// Counts a failure.
    fn count(&mut self, error: &Error) {
        let at = Failing::of(error);
        if Some(at) != self.failed_at {
            self.failures = 0;
        }
        self.failed_at = Some(at);
        self.failures = self.failures.saturating_add(1);
        self.waited = Duration::ZERO;
    }

    /// Returns the next step if the connection may be the cause of an error.
    fn reconnect(&self, longest: Duration, pace: &Pace) -> Next {
        let further = self.failures.saturating_sub(PROMPT_RECONNECTS);
        Next::ReconnectWithin(match further {
            0 => longest.min(PROMPT_DELAY),
            further => pace.retry.backoff.max_delay_after(further),
        })
    }

    fn failed(&mut self, error: &Error, pace: &Pace, was_doubted: bool) -> Next {
        if error.is_lease_held() {
            self.failures = 0;
            return Next::Poll(pace.idle_interval);
        }
        self.count(error);
        let is_of_message = error.is_handler_failure() || error.is_bad_message();
        // The stored count includes attempts from before this process.
        let failures = error.attempts().unwrap_or(self.failures);
        let longest = pace.retry.backoff.max_delay_after(failures);
        if error.is_lease_lost() {
            Next::RetryWithin(longest)
        } else if error.is_broken_cursor() || error.is_event_set_conflict() {
            // The connection may lead to another database, for example after `USE` or `SET
            // search_path`.
            self.is_doubted = !was_doubted;
            if was_doubted {
                Next::Stop
            } else {
                self.reconnect(longest, pace)
            }
        } else if error.is_invalid_name() {
            Next::Stop
        } else if error.is_unknown_message() && error.attempts().is_none() {
            // Another program can know the message, so the consumer waits without a limit.
            Next::RetryWithin(longest)
        } else if !is_of_message {
            // After a conflict with another writer, the connection is still usable.
            let is_conflict = error.is_retryable() && !error.is_disconnected();
            if is_conflict && !self.failures.is_multiple_of(CONFLICTS_PER_CONNECTION) {
                Next::RetryWithin(longest)
            } else if is_conflict {
                Next::ReconnectWithin(longest)
            } else {
                self.reconnect(longest, pace)
            }
        } else if let Some(wait) = error.retry_after() {
            Next::RetryAfter(wait)
        } else if error.is_last_attempt() || failures >= pace.retry.at_most() {
            Next::Stop
        } else {
            Next::RetryWithin(longest)
        }
    }
}

#[cfg(test)]
mod tests;
