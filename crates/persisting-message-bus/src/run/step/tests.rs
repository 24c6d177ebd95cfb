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
    connect_timeout: Duration::from_secs(40),
};

fn bad_message(position: i64) -> Outcome {
    Outcome::Failed(Error::broken_row("orders", Position::new(position), "no"))
}

fn unreachable() -> Outcome {
    Outcome::NotConnected(Error::permanent("connecting", "no route"))
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

const SIGN: Option<ChangeToken> = Some(ChangeToken {
    changes: 7,
    wakes: 0,
});

/// Runs one round of an idle consumer. Returns its wait afterwards, and whether it polled.
fn round(progress: &mut Progress, token: Option<ChangeToken>) -> (Duration, bool) {
    let rests = progress.can_rest(token);
    let outcome = if rests {
        Outcome::Unchanged
    } else {
        Outcome::Nothing(token)
    };
    match progress.step(&outcome, &PACE) {
        Next::Poll(wait) => (wait, !rests),
        next => unreachable!("{next:?}"),
    }
}

#[test]
fn a_sign_saves_looks_until_it_differs() {
    let mut progress = Progress::default();
    let mut looks = |token| round(&mut progress, token).1;
    assert!(looks(SIGN), "for the first time");
    assert!(!looks(SIGN));
    for (changes, wakes) in [(8, 0), (8, 1), (7, 1)] {
        let token = Some(ChangeToken { changes, wakes });
        assert!(looks(token), "{token:?}");
        assert!(!looks(token), "{token:?}");
    }
    assert!(looks(None), "no token");
    assert!(looks(None), "no token");
}

#[test]
fn what_it_did_itself_or_what_failed_does_not_show_in_a_sign() {
    let request = LeaseRequest {
        consumer: "all",
        topic: "orders",
        segment: None,
        owner: "me",
        duration: Duration::ZERO,
        identity: Default::default(),
        hands_out: false,
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
fn assert_idle(of_sign: u64, of_look: u64, mut token: impl FnMut() -> Option<ChangeToken>) {
    let mut progress = Progress::default();
    while round(&mut progress, token()).0 < PACE.idle_interval / 3 {}
    let [mut time, mut since_look] = [Duration::ZERO; 2];
    let mut statements = 0;
    while time < Duration::from_secs(3_600) {
        let (wait, looked) = round(&mut progress, token());
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
        Some(ChangeToken { changes, wakes: 0 })
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

fn reconnect_within(seconds: u64) -> Next {
    Next::ReconnectWithin(Duration::from_secs(seconds))
}

#[test]
fn a_useless_connection_is_replaced_soon_but_not_for_ever() {
    let mut progress = Progress::default();
    let useless = || Outcome::Failed(Error::disconnected("taking the lease", "read-only"));
    let nexts: Vec<_> = (0..30).map(|_| progress.step(&useless(), &PACE)).collect();
    assert!(nexts[..16].iter().all(|next| *next == reconnect_within(1)));
    assert_eq!(nexts[17..20], [2, 4, 8].map(reconnect_within));
    assert_eq!(nexts[29], reconnect_within(60));
}

/// A session can have a timeout that is always too short.
#[test]
fn every_third_conflict_in_a_row_is_tried_on_another_connection() {
    let mut progress = Progress::default();
    let conflict = || Outcome::Failed(Error::transient("reading", "statement timeout"));
    let nexts = [(); 6].map(|()| progress.step(&conflict(), &PACE));
    let expected = [
        within(1),
        within(2),
        reconnect_within(4),
        within(8),
        within(16),
        reconnect_within(32),
    ];
    assert_eq!(nexts, expected);
}

#[test]
fn a_broken_cursor_ends_the_consumer_when_another_connection_has_it_too() {
    let broken = || {
        Outcome::Failed(Error::broken_cursor(
            "orders",
            Position::new(7),
            Position::START,
        ))
    };
    let mut progress = Progress::default();
    assert_eq!(progress.step(&broken(), &PACE), reconnect_within(1));
    assert_eq!(
        progress.step(&Outcome::Nothing(None), &PACE),
        Next::Poll(MIN_POLL)
    );
    assert_eq!(progress.step(&broken(), &PACE), reconnect_within(1));
    assert!(matches!(
        progress.step(&unreachable(), &PACE),
        Next::ReconnectWithin(_)
    ));
    assert_eq!(progress.step(&broken(), &PACE), Next::Stop);
}
