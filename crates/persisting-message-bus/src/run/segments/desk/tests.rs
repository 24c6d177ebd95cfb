use chrono::DateTime;
use uuid::Uuid;

use super::*;
use crate::store::identity::StoredIdentity;
use crate::store::lease::LeaseRequest;
use crate::store::segment::{DividedBy, Division};

const SET: &str = "what this program reads";

/// A segment as a look sees it.
fn seen(cursor: i64, first_redriven: Option<i64>) -> Seen {
    let row = ConsumerRow {
        cursor: Some(Position::new(cursor)),
        anchor: None,
        lease_owner: None,
        lease_epoch: 1,
        lease_expires_at: None,
        paused_at: None,
        cursor_moved_at: None,
        work: None,
        suspect_until: None,
        first_redriven: first_redriven.map(Position::new),
        first_final: None,
        identity: StoredIdentity {
            event_set: Some(SET.to_owned()),
            source: None,
        },
        division: None,
        now: DateTime::UNIX_EPOCH,
    };
    Seen {
        segment: Division::new(DividedBy::Key, 4).segment("all", 3),
        rows: vec![row],
    }
}

fn held() -> Outcome {
    let request = LeaseRequest {
        consumer: "all",
        topic: "orders",
        segment: None,
        owner: "me",
        duration: Duration::from_secs(30),
        identity: Default::default(),
        hands_out: false,
    };
    let owner = Some("another process".to_owned());
    let now = DateTime::UNIX_EPOCH;
    Outcome::Failed(Error::requested_lease_held(&request, owner, None, now))
}

/// Lets a thread work on the segment, and puts it back.
fn work(desk: &mut Desk, outcome: Outcome, next: Next) {
    let memory = desk.begin();
    desk.put_back(memory, outcome, next);
}

#[test]
fn rests_grow_while_another_process_has_the_lease() {
    let mut desk = Desk::default();
    let mut rests = Vec::new();
    for _collision in 0..9 {
        let now = Instant::now();
        work(&mut desk, held(), Next::RetryWithin(Duration::from_secs(9)));
        let Some(until) = desk.rests_until else {
            unreachable!("it rests");
        };
        assert!(!desk.can_begin(now));
        assert!(desk.can_begin(until));
        rests.push((until - now).as_millis());
    }
    let least = [10, 20, 40, 80, 160, 320, 640, 1_280, 1_280];
    assert!(
        rests.iter().zip(least).all(|(rest, least)| *rest >= least),
        "{rests:?}"
    );
    // Another doubling would make it 2,560. A slow machine can make a rest look longer.
    assert!(rests[8] < 2_560, "{rests:?}");
    work(&mut desk, Outcome::Handled(1), Next::GoOn);
    work(&mut desk, held(), Next::GoOn);
    let rest = desk.rests_until.map(|until| until - Instant::now());
    assert!(rest.is_some_and(|rest| rest < Duration::from_millis(20)));
}

#[test]
fn a_redriven_message_that_a_look_sees_during_a_time_slice_is_work() {
    let mut desk = Desk::default();
    let memory = desk.begin();
    let redriven = seen(9, Some(5));
    desk.see(&redriven, Instant::now());
    desk.put_back(memory, Outcome::Nothing(None), Next::GoOn);
    assert!(desk.has_work(&redriven, SET));
    // A thread that saw it has left it, because its program does not know it.
    work(&mut desk, Outcome::Nothing(None), Next::GoOn);
    assert!(!desk.has_work(&redriven, SET));
    desk.doubt(&redriven, &[]);
    assert!(desk.has_work(&redriven, SET), "once in a while");
}

/// A thread found nothing, because the message had been parked again after the look.
#[test]
fn a_message_that_is_redriven_again_is_work() {
    let (mut desk, now) = (Desk::default(), Instant::now());
    desk.see(&seen(9, Some(5)), now);
    work(&mut desk, Outcome::Nothing(None), Next::GoOn);
    desk.see(&seen(9, None), now);
    let again = seen(9, Some(5));
    desk.see(&again, now);
    assert!(desk.has_work(&again, SET));
}

/// A slice that fails moves no cursor.
#[test]
fn a_segment_waits_since_its_cursor_moved_or_a_thread_put_it_back() {
    let (mut desk, mut seen) = (Desk::default(), seen(9, None));
    assert_eq!(desk.waits_since(&seen, Instant::now()), None);
    let second = chrono::TimeDelta::seconds(1);
    let moved_at = DateTime::UNIX_EPOCH;
    seen.rows[0].cursor_moved_at = Some(moved_at);
    seen.rows[0].now = moved_at + second * 9;
    assert_eq!(desk.waits_since(&seen, Instant::now()), Some(moved_at));
    work(&mut desk, Outcome::Handled(0), Next::GoOn);
    let later = Instant::now() + Duration::from_secs(3);
    let since = desk.waits_since(&seen, later);
    let [first, last] = [5, 7].map(|seconds| Some(moved_at + second * seconds));
    assert!(since >= first && since < last, "{since:?}");
}

#[test]
fn a_stopped_segment_is_tried_again_only_when_its_cursor_moves_after_that() {
    let mut desk = Desk::default();
    let before = Instant::now();
    let error = Error::permanent("handling", "no");
    work(&mut desk, Outcome::Failed(error), Next::Stop);
    let after = Instant::now();
    for (cursor, look) in [(0, before), (5, after), (5, after), (0, before)] {
        desk.see(&seen(cursor, None), look);
        assert!(desk.has_stopped(), "{cursor}");
    }
    desk.see(&seen(6, None), after);
    assert!(desk.is_resting());
}

/// An operator can move the cursor before the first look after the stop.
#[test]
fn a_stopped_segment_is_tried_again_when_its_cursor_is_not_where_the_thread_has_left_it() {
    for (found, is_moved) in [(0, true), (5, false), (6, true)] {
        let mut desk = Desk::default();
        let mut memory = desk.begin();
        memory.cursors = vec![Position::new(5)];
        let error = Error::permanent("handling", "no");
        desk.put_back(memory, Outcome::Failed(error), Next::Stop);
        for _look in 0..2 {
            desk.see(&seen(found, None), Instant::now());
            assert_eq!(desk.is_resting(), is_moved, "{found}");
        }
    }
}

#[test]
fn a_cursor_after_the_head_or_beside_another_message_is_doubted() {
    let head = MessageAt {
        position: Position::new(9),
        message_id: Some(Uuid::from_u128(9)),
    };
    let anchored = |cursor, id| {
        let mut seen = seen(cursor, None);
        seen.rows[0].anchor = Some(Anchor {
            position: Position::new(cursor),
            message_id: Uuid::from_u128(id),
        });
        seen
    };
    for (seen, is_doubted) in [
        (anchored(9, 9), false),
        (anchored(9, 8), true),
        (anchored(10, 9), true),
        (anchored(8, 8), false),
    ] {
        let mut desk = Desk::default();
        desk.doubt(&seen, &[head]);
        assert_eq!(desk.has_work(&seen, SET), is_doubted, "{seen:?}");
    }
}
