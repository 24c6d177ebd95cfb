//! What a consumer does next, as a pure function of what happened.

use std::time::Duration;

use crate::{Error, Position, Retry};

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
    /// How often in a row there was nothing new.
    idle: u32,
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
        let wait = SHORTEST_POLL.saturating_mul(2_u32.saturating_pow(self.idle));
        self.idle = self.idle.saturating_add(1);
        (self.failures, self.failed_at) = (0, None);
        Next::Poll(wait.min(pace.idle_interval))
    }

    fn failed(&mut self, error: &Error, pace: &Pace) -> Next {
        let at = error.position();
        if at != self.failed_at {
            self.failures = 0;
        }
        self.failed_at = at;
        self.failures = self.failures.saturating_add(1);
        self.idle = 0;
        let is_of_message = error.is_handler_failure() || error.is_bad_message();
        // What the state has counted goes back to before this process.
        let failures = error.attempts().unwrap_or(self.failures);
        let longest = pace.retry.longest_after(failures);
        if error.is_lease_lost() {
            Next::RetryWithin(longest)
        } else if error.is_broken_cursor() || error.is_invalid_name() {
            Next::Stop
        } else if !is_of_message {
            Next::ReconnectWithin(longest)
        } else if failures >= pace.retry.most_attempts() {
            Next::Stop
        } else {
            Next::RetryWithin(longest)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::GiveUp;

    const PACE: Pace = Pace {
        idle_interval: Duration::from_secs(2),
        retry: Retry {
            base: Duration::from_secs(1),
            cap: Duration::from_secs(60),
            attempts: 3,
            then: GiveUp::Stop,
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
            Next::Poll(wait) => wait.as_millis(),
            next => unreachable!("{next:?}"),
        };
        let waits: Vec<_> = (0..13).map(|_| poll(&mut progress)).collect();
        assert_eq!(waits[..4], [1, 2, 4, 8]);
        assert_eq!(waits[11..], [2_000, 2_000]);
        assert_eq!(progress.step(&Outcome::Handled(5), &PACE), Next::GoOn);
        assert_eq!(poll(&mut progress), 1);
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
