//! What a consumer does next, as a pure function of what happened.

use std::time::Duration;

use crate::{Error, Position, Retry};

/// What came of an attempt.
#[derive(Debug)]
pub(super) enum Outcome {
    /// There was nothing to do, and will not be while the sign, from before the look, is the same.
    Nothing(Option<Sign>),
    /// Nobody looked, because the sign was the same.
    Unchanged,
    /// So many messages were handled; zero: others were passed over.
    Handled(usize),
    Failed(Error),
}

/// What fails, so that each has its attempts.
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

/// What differs when there may be something new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sign {
    /// What the source says of the commits of others.
    pub(super) changes: i64,
    pub(super) nudges: u64,
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
    /// Try again after that time.
    RetryAfter(Duration),
    /// Try again after a random time up to this, with a new connection.
    ReconnectWithin(Duration),
    /// Nobody knows how to go on.
    Stop,
}

/// What is remembered from one attempt to the next.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Progress {
    /// The last wait for something new, if there was nothing since.
    waited: Duration,
    /// From before the last look, if there was nothing to do. What this consumer itself commits does
    /// not show in it.
    sign: Option<Sign>,
    /// How much longer the sign is taken for a look.
    rest: Duration,
    /// How often in a row the same failed.
    failures: u32,
    failed_at: Option<Failing>,
}

/// How a consumer is run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    pub(super) idle_interval: Duration,
    pub(super) retry: Retry,
}

/// How soon to look again when there was something a moment ago.
const SHORTEST_POLL: Duration = Duration::from_millis(1);

/// How many times in an idle interval a sign is asked for: that is one statement, a look four with it.
const SIGNS_PER_INTERVAL: u32 = 3;

/// After about so many idle intervals it looks whatever the sign says: not all that a look depends on
/// has to be where messages come from.
const LONGEST_REST: u32 = 3;

impl Progress {
    /// How often in a row the same has failed.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    pub(super) fn step(&mut self, outcome: &Outcome, pace: &Pace) -> Next {
        match outcome {
            Outcome::Nothing(sign) => {
                self.sign = *sign;
                self.rest = pace.idle_interval.saturating_mul(LONGEST_REST);
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

    /// Whether the same sign says that there is nothing to look for.
    pub(super) fn can_rest(&self, sign: Option<Sign>) -> bool {
        sign.is_some() && sign == self.sign && !self.rest.is_zero()
    }

    fn idle(&mut self, longest: Duration) -> Next {
        let longer = self.waited.saturating_mul(3) / 2;
        self.waited = longer.max(SHORTEST_POLL).min(longest);
        self.rest = self.rest.saturating_sub(self.waited);
        (self.failures, self.failed_at) = (0, None);
        Next::Poll(self.waited)
    }

    fn failed(&mut self, error: &Error, pace: &Pace) -> Next {
        if error.is_locked() {
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
        // What the state has counted goes back to before this process.
        let failures = error.attempts().unwrap_or(self.failures);
        let longest = pace.retry.longest_after(failures);
        if error.is_lease_lost() {
            Next::RetryWithin(longest)
        } else if error.is_broken_cursor() || error.is_invalid_name() {
            Next::Stop
        } else if !is_of_message {
            // Another writer was in the way: that is no fault of the connection.
            if error.is_retryable() && !error.is_disconnected() {
                Next::RetryWithin(longest)
            } else {
                Next::ReconnectWithin(longest)
            }
        } else if let Some(wait) = error.retry_after() {
            Next::RetryAfter(wait)
        } else if error.is_last_attempt() || failures >= pace.retry.most_attempts() {
            Next::Stop
        } else {
            Next::RetryWithin(longest)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GiveUp, LeaseRequest};

    const PACE: Pace = Pace {
        idle_interval: Duration::from_secs(2),
        retry: Retry {
            base: Duration::from_secs(1),
            cap: Duration::from_secs(60),
            attempts: 3,
            transient_timeout: Duration::from_secs(900),
            then: GiveUp::Stop,
        },
    };

    fn bad_message(position: i64) -> Outcome {
        Outcome::Failed(Error::broken_row("orders", Position::new(position), "no"))
    }

    fn unreachable() -> Outcome {
        Outcome::Failed(Error::repository("reading", "no route", false))
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
            assert!(
                wait <= without / 2 + SHORTEST_POLL,
                "{wait:?} after {without:?}"
            );
            without += wait;
        }
    }

    const SIGN: Option<Sign> = Some(Sign {
        changes: 7,
        nudges: 0,
    });

    /// A round of an idle consumer at a sign: what it waits behind it, and whether it looked.
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
        for (changes, nudges) in [(8, 0), (8, 1), (7, 1)] {
            let sign = Some(Sign { changes, nudges });
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
        };
        let locked = Error::locked(&request, None, None);
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

    /// At most so many statements a second are run by a consumer that has nothing to do.
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
            Some(Sign { changes, nudges: 0 })
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
                assert!(longest <= PACE.retry.cap, "{longest:?}");
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
