//! What a consumer does next, as a pure function of what happened.

use std::time::Duration;

use super::retry::Retry;
use crate::{Error, Position};

/// What came of an attempt.
#[derive(Debug)]
pub(super) enum Outcome {
    /// So many messages were handled; zero: there was nothing new.
    Handled(usize),
    Failed(Error),
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// The next page.
    GoOn,
    /// Look again after that time, or when there is something new.
    Poll(Duration),
    /// Try again after a random time up to this.
    RetryWithin(Duration),
    /// Likewise, with a new connection.
    ReconnectWithin(Duration),
    /// Nobody knows how to go on.
    Stop,
}

/// What is remembered from one attempt to the next.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Progress {
    /// The last wait for something new, if there was nothing since.
    waited: Duration,
    /// How often in a row something failed, on which message if it was one.
    failures: u32,
    failed_at: Option<Position>,
}

/// How a consumer is run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    pub(super) idle_interval: Duration,
    pub(super) retry: Retry,
}

/// How soon to look again when there was something a moment ago.
const SHORTEST_POLL: Duration = Duration::from_millis(1);

impl Progress {
    pub(super) fn step(&mut self, outcome: &Outcome, pace: &Pace) -> Next {
        match outcome {
            Outcome::Handled(0) => self.idle(pace),
            Outcome::Handled(_) => {
                *self = Self::default();
                Next::GoOn
            }
            Outcome::Failed(error) if error.is_locked() => {
                self.failures = 0;
                Next::Poll(pace.idle_interval)
            }
            Outcome::Failed(error) => self.failed(error, pace),
        }
    }

    fn idle(&mut self, pace: &Pace) -> Next {
        let longer = self.waited.saturating_mul(3) / 2;
        self.waited = longer.max(SHORTEST_POLL).min(pace.idle_interval);
        (self.failures, self.failed_at) = (0, None);
        Next::Poll(self.waited)
    }

    fn failed(&mut self, error: &Error, pace: &Pace) -> Next {
        let at = error.position();
        if at != self.failed_at {
            self.failures = 0;
        }
        self.failed_at = at;
        self.failures = self.failures.saturating_add(1);
        self.waited = Duration::ZERO;
        let is_of_message = error.is_handler_failure() || error.is_bad_message();
        let longest = pace.retry.longest_after(self.failures);
        if error.is_lease_lost() {
            Next::RetryWithin(longest)
        } else if error.is_broken_cursor() || error.is_invalid_name() {
            Next::Stop
        } else if !is_of_message {
            Next::ReconnectWithin(longest)
        } else if self.failures >= pace.retry.attempts.max(1) {
            Next::Stop
        } else {
            Next::RetryWithin(longest)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace {
        idle_interval: Duration::from_secs(2),
        retry: Retry {
            base: Duration::from_secs(1),
            cap: Duration::from_secs(60),
            attempts: 3,
        },
    };

    fn bad_message(position: i64) -> Outcome {
        Outcome::Failed(Error::broken_row("orders", Position::new(position), "no"))
    }

    fn unreachable() -> Outcome {
        Outcome::Failed(Error::repository("reading", "no route", true))
    }

    fn within(seconds: u64) -> Next {
        Next::RetryWithin(Duration::from_secs(seconds))
    }

    #[test]
    fn polling_backs_off_to_the_idle_interval_and_starts_again_after_activity() {
        let mut progress = Progress::default();
        let poll = |progress: &mut Progress| match progress.step(&Outcome::Handled(0), &PACE) {
            Next::Poll(wait) => wait.as_micros(),
            next => unreachable!("{next:?}"),
        };
        let waits: Vec<_> = (0..21).map(|_| poll(&mut progress)).collect();
        assert_eq!(waits[..4], [1_000, 1_500, 2_250, 3_375]);
        assert_eq!(waits[19..], [2_000_000, 2_000_000]);
        assert_eq!(progress.step(&Outcome::Handled(5), &PACE), Next::GoOn);
        assert_eq!(poll(&mut progress), 1_000);
    }

    #[test]
    fn a_message_waits_for_about_half_as_long_as_there_was_none() {
        let mut progress = Progress::default();
        let mut without = Duration::ZERO;
        for _ in 0..100 {
            let Next::Poll(wait) = progress.step(&Outcome::Handled(0), &PACE) else {
                unreachable!("there was nothing");
            };
            assert!(
                wait <= without / 2 + SHORTEST_POLL,
                "{wait:?} after {without:?}"
            );
            without += wait;
        }
    }

    #[test]
    fn a_message_is_attempted_so_often_and_no_more() {
        let mut progress = Progress::default();
        assert_eq!(progress.step(&bad_message(7), &PACE), within(1));
        assert_eq!(progress.step(&bad_message(7), &PACE), within(2));
        assert_eq!(progress.step(&bad_message(7), &PACE), Next::Stop);
    }

    #[test]
    fn each_message_has_its_attempts() {
        let mut progress = Progress::default();
        for position in 1..10 {
            assert_eq!(progress.step(&bad_message(position), &PACE), within(1));
        }
    }

    #[test]
    fn a_database_that_is_away_is_attempted_without_end() {
        let mut progress = Progress::default();
        let waits: Vec<_> = (0..1_000)
            .map(|_| progress.step(&unreachable(), &PACE))
            .collect();
        let longest = Next::ReconnectWithin(Duration::from_secs(60));
        assert_eq!(waits[0], Next::ReconnectWithin(Duration::from_secs(1)));
        assert!(waits[6..].iter().all(|next| *next == longest));
    }
}
