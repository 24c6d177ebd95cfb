//! Messages, segments and databases with a problem, in a runner.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use persisting_message_bus::backend::{
    Anchor, ConsumerRow, CursorUpdate, MessageConsumerState, MessageSource, Place,
};
use persisting_message_bus::operate::{ConsumerKey, MessageFailures, ParkedSelector};
use persisting_message_bus::{MessageConsumer, ParallelConsumer, Position, Runner, StartAt};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::waiting::wait_until;
use uuid::Uuid;

use super::handling::{Handled, MESSAGES, note, numbers, place};
use super::parking::{Poisoned, parking};
use super::running::{STOP, has_ended_well, start};
use super::topic::Orders;
use super::traces::take;
use super::{LEASE, connector, division, key, segments_if_any};

pub fn a_segment_that_stops_does_not_stop_the_others<D: Database + Send + 'static>() {
    let (database, connect) = connector::<D>();
    let mut bus = database.connect();
    place(&mut bus, 0..MESSAGES);
    let handled = Handled::default();
    let (noted, fails) = (Arc::clone(&handled), Arc::new(AtomicBool::new(true)));
    let failing = Arc::clone(&fails);
    let running = start(connect, 4, move |message| {
        if message.payload().number() == 41 && failing.load(Ordering::Relaxed) {
            return Err("a poisonous order".into());
        }
        note(&noted, message);
        Ok(())
    });
    wait_until("the other segments are handled", || {
        let rows = segments_if_any(&mut bus, "all");
        let end = bus.current_head("orders");
        let end = Some(end.unwrap());
        rows.iter().filter(|row| row.cursor >= end).count() == 15
    });
    let late = running
        .caught_up_within(Duration::from_millis(200))
        .unwrap_err();
    assert!(late.to_string().contains("a poisonous order"), "{late}");
    let exits = running.stop_within(STOP).unwrap();
    let error = exits[0].error.as_ref().expect("the segment has stopped");
    assert!(error.to_string().contains("segment "), "{error}");
    fails.store(false, Ordering::Relaxed);
    let key = key("all");
    assert!(!bus_is_held(&mut bus, key), "the leases are released");
}

/// A panic is a failure of the message, as in a consumer that is not divided.
pub fn a_handler_that_panics_keeps_only_its_message<D: Database + Send + 'static>() {
    let (database, connect) = connector::<D>();
    place(&mut database.connect(), 0..MESSAGES);
    let handled = Handled::default();
    let noted = Arc::clone(&handled);
    let running = start(connect, 4, move |message| {
        assert_ne!(message.payload().number(), 41, "a poisonous order");
        note(&noted, message);
        Ok(())
    });
    wait_until("the other segments are handled", || {
        let late = running.caught_up_within(Duration::from_millis(200));
        numbers(&handled).len() > 80
            && late.is_err_and(|late| late.to_string().contains("a poisonous order"))
    });
    let exits = running.stop_within(STOP).unwrap();
    let error = exits[0].error.as_ref().expect("the segment has stopped");
    assert!(
        format!("{error:#}").contains("a poisonous order"),
        "{error:#}"
    );
}

/// No message comes, so only the failures of the consumer tell that there is work.
pub fn a_redriven_message_is_handled_while_all_threads_are_idle<D: Database + Send + 'static>() {
    let (database, connect) = connector::<D>();
    let mut bus = database.connect();
    place(&mut bus, 0..MESSAGES);
    let poisoned = Poisoned::new();
    let parking = parking("all", &poisoned);
    let running = Runner::new(move || Ok::<_, io::Error>(connect()))
        .idle_interval(Duration::from_millis(50))
        .parallel(parking)
        .start();
    running.caught_up_within(Duration::from_secs(60)).unwrap();
    assert_eq!(bus.count_parked(key("all")).unwrap(), 1);
    // It fails once more, and is parked again, before it is cured.
    for is_cured in [false, true] {
        if is_cured {
            poisoned.cure();
        }
        assert_eq!(bus.redrive(key("all"), ParkedSelector::All).unwrap(), 1);
        wait_until("the redriven message is tried", || {
            let parked = bus.count_parked(key("all")).unwrap();
            let is_handled = poisoned.numbers().contains(&41);
            if is_cured { is_handled } else { parked == 1 }
        });
    }
    has_ended_well(running);
    assert_eq!(poisoned.numbers(), Vec::from_iter(0..MESSAGES));
}

/// An operator moves the cursors past the message.
pub fn a_segment_that_has_stopped_continues_when_its_cursor_moves<D: Database + Send + 'static>() {
    let (database, connect) = connector::<D>();
    let mut bus = database.connect();
    place(&mut bus, 0..MESSAGES);
    let handled = Handled::default();
    let noted = Arc::clone(&handled);
    let running = start(connect, 4, move |message| {
        if message.payload().number() == 41 {
            return Err("a poisonous order".into());
        }
        note(&noted, message);
        Ok(())
    });
    wait_until("the segment has stopped", || {
        let late = running.caught_up_within(Duration::from_millis(50));
        late.is_err_and(|late| late.to_string().contains("a poisonous order"))
    });
    let make = || MessageConsumer::<Orders>::external("all", |_| Ok(()));
    let mut operator = ParallelConsumer::unordered(make).segments(16);
    wait_until("all leases are free", || {
        operator.reset(&mut bus, StartAt::End).is_ok()
    });
    let before = numbers(&handled).len();
    place(&mut bus, 100..150);
    running.caught_up_within(Duration::from_secs(60)).unwrap();
    has_ended_well(running);
    assert_eq!(numbers(&handled).len(), before + 50);
}

fn bus_is_held(bus: &mut impl MessageConsumerState, key: ConsumerKey<'_>) -> bool {
    let rows = segments_if_any(bus, key.consumer);
    let is_held =
        |row: &ConsumerRow| row.lease_owner.is_some() && row.lease_expires_at > Some(row.now);
    rows.iter().any(is_held)
}

/// As after a restore: the segments have cursors that were never assigned, and new messages come.
pub fn cursors_after_the_end_of_the_topic_are_told<D: Database + Send + 'static>() {
    let broken = |_head| Place {
        cursor: Some(Position::new(1_000_000)),
        anchor: None,
    };
    cursors_are_told::<D>(broken, "1000000");
}

/// As after a restore: positions were assigned again, and now as many as before.
pub fn another_message_at_the_cursors_is_told<D: Database + Send + 'static>() {
    let other = Uuid::now_v7();
    let broken = |head| Place {
        cursor: Some(head),
        anchor: Some(Anchor {
            position: head,
            message_id: other,
        }),
    };
    cursors_are_told::<D>(broken, &other.to_string());
}

/// Stores a place for all segments, and runs the consumer until it tells the problem.
fn cursors_are_told<D>(broken: impl Fn(Position) -> Place, told: &str)
where
    D: Database + Send + 'static,
{
    let (database, connect) = connector::<D>();
    let mut bus = database.connect();
    place(&mut bus, 0..10);
    let make = || MessageConsumer::<Orders>::external("all", |_| Ok(()));
    let mut consumer = ParallelConsumer::unordered(make).segments(16);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 10);
    let head = bus.current_head("orders").unwrap();
    let division = division(&mut bus, "all").unwrap();
    for segment in division.all("all") {
        let lease = take(&mut bus, &segment, "a database that was replaced", LEASE).unwrap();
        let update = CursorUpdate {
            place: broken(head),
            extend_lease: None,
        };
        bus.store_cursor(&lease, &update).unwrap();
    }
    let running = start(connect, 2, |_| Ok(()));
    wait_until("the broken cursors are told", || {
        let late = running.caught_up_within(Duration::from_millis(50));
        late.is_err_and(|late| late.to_string().contains(told))
    });
    drop(running);
}
