//! Failures of several segments at once.

use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use persisting_message_bus::Position;
use persisting_message_bus::backend::NewFailure;
use persisting_message_bus::operate::{FailureState, MessageFailures};
use persisting_message_bus_tests::databases::Database;

use super::handling::place;
use super::traces::{divide, segment, take};

const SEGMENTS: u16 = 4;
const ROUNDS: i64 = 60;
const LEASE: Duration = Duration::from_secs(60);

/// First failures insert into the same gap of the table. On MySQL, two of them can wait for each other;
/// the server then ends one of them, whose failure must count nevertheless.
pub fn first_failures_at_once_are_counted<D: Database + Send + 'static>() {
    let (database, mut bus) = divide::<D>(SEGMENTS);
    place(&mut bus, 0..ROUNDS.unsigned_abs() * u64::from(SEGMENTS));
    let begin = Barrier::new(SEGMENTS.into());
    thread::scope(|scope| {
        for number in 0..SEGMENTS {
            let (mut bus, begin) = (database.connect(), &begin);
            scope.spawn(move || {
                let segment = segment(&mut bus, number);
                let lease = take(&mut bus, &segment, "a thread", LEASE).unwrap();
                let positions = (0..ROUNDS).map(|round| {
                    Position::new(1 + round * i64::from(SEGMENTS) + i64::from(number))
                });
                let recorded: Vec<_> = positions
                    .map(|position| {
                        begin.wait();
                        bus.record_failure(&lease, &failure(position))
                    })
                    .collect();
                for attempts in recorded {
                    assert_eq!(attempts.unwrap(), 1);
                }
            });
        }
    });
}

fn failure(position: Position) -> NewFailure<'static> {
    NewFailure {
        position,
        message_id: None,
        message_type: None,
        error: "no",
        extend_lease: LEASE,
        state: FailureState::Failing,
    }
}
