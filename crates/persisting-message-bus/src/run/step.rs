//! Decides the next step of a consumer, as a pure function of the last outcome.

use std::time::Duration;

use crate::consume::retry_policy::RetryPolicy;
use crate::error::Error;
use crate::position::Position;

/// The outcome of an attempt.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The poll was empty, and stays so while the `Sign` from before it is the same.
    Nothing(Option<Sign>),
    /// The consumer did not poll, because the `Sign` was the same.
    Unchanged,
    /// So many messages were handled. Zero: other messages were skipped.
    Handled(usize),
    Failed(Error),
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
pub(super) struct Sign {
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
    /// Try again after a random time up to this, with a new connection.
    ReconnectWithin(Duration),
    /// Stop, because no retry can help.
    Stop,
}

/// The state that is kept from one attempt to the next.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Progress {
    /// The last wait of an idle consumer, if there was no message since.
    waited: Duration,
    /// The `Sign` from before the last poll, if that was empty. This consumer's own commits do not
    /// show in it.
    sign: Option<Sign>,
    /// How much longer the same `Sign` replaces a poll.
    rest: Duration,
    /// How often the same object has failed in a row.
    failures: u32,
    failed_at: Option<Failing>,
}

/// The pace at which a consumer runs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    pub(super) idle_interval: Duration,
    pub(super) retry: RetryPolicy,
}

/// The first interval between polls after activity.
const MIN_POLL: Duration = Duration::from_millis(1);

/// The checks of the `Sign` per idle interval. A check is 1 statement. A poll is 4, with the check.
const SIGNS_PER_INTERVAL: u32 = 3;

/// After about so many idle intervals, a consumer polls although the `Sign` is the same, because a
/// poll also depends on state that need not be where the messages are.
const MAX_REST: u32 = 3;

impl Progress {
    /// Returns how often the same object has failed in a row.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    pub(super) fn step(&mut self, outcome: &Outcome, pace: &Pace) -> Next {
        match outcome {
            Outcome::Nothing(sign) => {
                self.sign = *sign;
                self.rest = pace.idle_interval.saturating_mul(MAX_REST);
                self.idle(pace.idle_interval)
            }
            Outcome::Unchanged => self.idle(pace.idle_interval / SIGNS_PER_INTERVAL),
            Outcome::Handled(0) => {
                self.sign = None;
                self.idle(pace.idle_interval)
            }
            Outcome::Handled(_) => {
                *self = Self::default();
                Next::GoOn
            }
            Outcome::Failed(error) => {
                self.sign = None;
                self.failed(error, pace)
            }
        }
    }

    /// Returns whether the same `Sign` shows that a poll would be empty.
    pub(super) fn can_rest(&self, sign: Option<Sign>) -> bool {
        sign.is_some() && sign == self.sign && !self.rest.is_zero()
    }

    fn idle(&mut self, longest: Duration) -> Next {
        let longer = self.waited.saturating_mul(3) / 2;
        self.waited = longer.max(MIN_POLL).min(longest);
        self.rest = self.rest.saturating_sub(self.waited);
        (self.failures, self.failed_at) = (0, None);
        Next::Poll(self.waited)
    }

    fn failed(&mut self, error: &Error, pace: &Pace) -> Next {
        if error.is_lease_held() {
            self.failures = 0;
            return Next::Poll(pace.idle_interval);
        }
        let at = Failing::of(error);
        if Some(at) != self.failed_at {
            self.failures = 0;
        }
        self.failed_at = Some(at);
        self.failures = self.failures.saturating_add(1);
        self.waited = Duration::ZERO;
        let is_of_message = error.is_handler_failure() || error.is_bad_message();
        // The stored count includes attempts from before this process.
        let failures = error.attempts().unwrap_or(self.failures);
        let longest = pace.retry.backoff.max_delay_after(failures);
        if error.is_lease_lost() {
            Next::RetryWithin(longest)
        } else if error.is_broken_cursor()
            || error.is_event_set_conflict()
            || error.is_invalid_name()
        {
            Next::Stop
        } else if error.is_unknown_message() && error.attempts().is_none() {
            // Another program can know the message, so the consumer waits without a limit.
            Next::RetryWithin(longest)
        } else if !is_of_message {
            // After a conflict with another writer, the connection is still usable.
            if error.is_retryable() && !error.is_disconnected() {
                Next::RetryWithin(longest)
            } else {
                Next::ReconnectWithin(longest)
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
mod tests {
    use super::*;
    use crate::backoff::Backoff;
    use crate::store::failures::FailurePolicy;
    use crate::store::lease::LeaseRequest;

    const PACE: Pace = Pace {
        idle_interval: Duration::from_secs(2),
        retry: RetryPolicy {
            backoff: Backoff {
                initial_delay: Duration::from_secs(1),
                max_delay: Duration::from_secs(60),
            },
            max_attempts: 3,
            transient_timeout: Duration::from_secs(900),
            on_exhausted: FailurePolicy::Stop,
        },
    };

    fn bad_message(position: i64) -> Outcome {
        Outcome::Failed(Error::broken_row("orders", Position::new(position), "no"))
    }

    fn unreachable() -> Outcome {
        Outcome::Failed(Error::permanent("reading", "no route"))
    }

    fn within(seconds: u64) -> Next {
        Next::RetryWithin(Duration::from_secs(seconds))
    }

    #[test]
    fn polling_backs_off_to_the_idle_interval_and_starts_again_after_activity() {
        let mut progress = Progress::default();
        let poll = |progress: &mut Progress| match progress.step(&Outcome::Nothing(None), &PACE) {
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
            let Next::Poll(wait) = progress.step(&Outcome::Nothing(None), &PACE) else {
                unreachable!("there was nothing");
            };
            assert!(wait <= without / 2 + MIN_POLL, "{wait:?} after {without:?}");
            without += wait;
        }
    }

    const SIGN: Option<Sign> = Some(Sign {
        changes: 7,
        wakes: 0,
    });

    /// Runs one round of an idle consumer. Returns its wait afterwards, and whether it polled.
    fn round(progress: &mut Progress, sign: Option<Sign>) -> (Duration, bool) {
        let rests = progress.can_rest(sign);
        let outcome = if rests {
            Outcome::Unchanged
        } else {
            Outcome::Nothing(sign)
        };
        match progress.step(&outcome, &PACE) {
            Next::Poll(wait) => (wait, !rests),
            next => unreachable!("{next:?}"),
        }
    }

    #[test]
    fn a_sign_saves_looks_until_it_differs() {
        let mut progress = Progress::default();
        let mut looks = |sign| round(&mut progress, sign).1;
        assert!(looks(SIGN), "for the first time");
        assert!(!looks(SIGN));
        for (changes, wakes) in [(8, 0), (8, 1), (7, 1)] {
            let sign = Some(Sign { changes, wakes });
            assert!(looks(sign), "{sign:?}");
            assert!(!looks(sign), "{sign:?}");
        }
        assert!(looks(None), "no sign");
        assert!(looks(None), "no sign");
    }

    #[test]
    fn what_it_did_itself_or_what_failed_does_not_show_in_a_sign() {
        let request = LeaseRequest {
            consumer: "all",
            topic: "orders",
            owner: "me",
            duration: Duration::ZERO,
            identity: Default::default(),
        };
        let locked = Error::lease_held(request.key(), None, None);
        let outcomes = [
            Outcome::Handled(0),
            Outcome::Handled(3),
            Outcome::Failed(locked),
            bad_message(7),
            unreachable(),
        ];
        for outcome in outcomes {
            let mut progress = Progress::default();
            round(&mut progress, SIGN);
            assert!(progress.can_rest(SIGN));
            progress.step(&outcome, &PACE);
            assert!(!progress.can_rest(SIGN), "{outcome:?}");
        }
    }

    /// Asserts how many statements per second an idle consumer runs at most.
    fn assert_idle(of_sign: u64, of_look: u64, mut sign: impl FnMut() -> Option<Sign>) {
        let mut progress = Progress::default();
        while round(&mut progress, sign()).0 < PACE.idle_interval / 3 {}
        let [mut time, mut since_look] = [Duration::ZERO; 2];
        let mut statements = 0;
        while time < Duration::from_secs(3_600) {
            let (wait, looked) = round(&mut progress, sign());
            statements += of_sign + if looked { of_look } else { 0 };
            since_look = if looked { wait } else { since_look + wait };
            assert!(since_look <= 4 * PACE.idle_interval);
            time += wait;
        }
        assert!(statements <= 2 * time.as_secs() + 4, "{statements}");
    }

    #[test]
    fn an_idle_consumer_runs_at_most_two_statements_a_second() {
        assert_idle(0, 4, || None);
        assert_idle(1, 3, || SIGN);
    }

    #[test]
    fn so_does_one_where_others_write_all_the_time() {
        let mut changes = 0;
        assert_idle(1, 3, || {
            changes += 1;
            Some(Sign { changes, wakes: 0 })
        });
    }

    #[test]
    fn a_sign_is_asked_for_three_times_in_an_idle_interval() {
        let mut progress = Progress::default();
        let rounds = (0..100).map(|_| round(&mut progress, SIGN));
        let longest = rounds.filter(|(_, looked)| !looked).map(|(wait, _)| wait);
        assert_eq!(longest.max(), Some(PACE.idle_interval / 3));
    }

    #[test]
    fn whatever_happens_it_stops_for_a_message_only_and_never_waits_too_long() {
        let seed = fastrand::u64(..);
        eprintln!("SEED={seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        for _ in 0..1_000 {
            let mut progress = Progress::default();
            let mut in_a_row = 0;
            for _ in 0..100 {
                let outcome = match random.u32(..6) {
                    0 => Outcome::Handled(random.usize(..3)),
                    1 => Outcome::Nothing(None),
                    2 => unreachable(),
                    _ => bad_message(random.i64(1..3)),
                };
                let (failures, at) = (progress.failures, progress.failed_at);
                let next = progress.step(&outcome, &PACE);
                let message = match &outcome {
                    Outcome::Failed(error) => error.position(),
                    _ => None,
                };
                let goes_on = message.map(Failing::Message) == at && failures > 0;
                in_a_row = if goes_on { in_a_row + 1 } else { 1 };
                let longest = match next {
                    Next::GoOn => Duration::ZERO,
                    Next::Poll(wait)
                    | Next::RetryWithin(wait)
                    | Next::RetryAfter(wait)
                    | Next::ReconnectWithin(wait) => wait,
                    Next::Stop => {
                        assert!(message.is_some() && in_a_row == 3, "{outcome:?}");
                        break;
                    }
                };
                assert!(longest <= PACE.retry.backoff.max_delay, "{longest:?}");
                assert_eq!(next == Next::GoOn, matches!(outcome, Outcome::Handled(1..)));
            }
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
