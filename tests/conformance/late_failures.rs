//! Failures that a holder records after its lease has expired.

use std::cell::Cell;
use std::time::Duration;

use persisting_message_bus::backend::{MessageAt, MessageConsumerState, NewFailure, Place};
use persisting_message_bus::handler::HandlerError;
use persisting_message_bus::operate::{FailureState, MessageFailures};
use persisting_message_bus::{FailurePolicy, Message, MessageConsumer, Position};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};

use super::failing::{after, failed, place};
use super::leases::{HOUR, request};
use super::redriving::refuse_second;
use super::{CONSUMER, TestBus, orders, stored_consumer};

/// Handles a page with a consumer whose lease expires at once. If `is_late` returns true, another
/// holder parks order 2 before the handler refuses it.
fn handle_late<B: TestBus>(bus: &mut B, other: &mut B, is_late: impl Fn() -> bool) {
    let mut late = MessageConsumer::<Orders>::external("all", |message: &Message<Orders>| {
        if message.payload().order() == 2 && is_late() {
            refuse_second(other);
            return Err("late".into());
        }
        Ok(())
    })
    .lease_duration(Duration::ZERO)
    .retry(after(3, FailurePolicy::Park));
    drop(late.handle_page(bus));
}

pub fn a_late_failure_does_not_unpark<D: Database>() {
    let (database, mut bus) = place::<D>(1..4);
    let mut other = database.connect();
    let late_one = Cell::new(true);
    handle_late(&mut bus, &mut other, || late_one.replace(false));
    let parked = failed(&mut bus, "all", FailureState::Parked);
    assert_eq!(
        parked.len(),
        1,
        "{:?}",
        failed(&mut bus, "all", FailureState::Failing)
    );
}

pub fn a_late_failure_loses_nothing<D: Database>() {
    let (database, mut bus) = place::<D>(1..4);
    let mut other = database.connect();
    handle_late(&mut bus, &mut other, || true);
    // Recording a later failure deletes those of messages that were handled since.
    orders()
        .dispatch(&mut bus, &OrderPlaced::number(4))
        .unwrap();
    let mut again = MessageConsumer::<Orders>::external("all", |_: &Message<Orders>| {
        Err::<(), HandlerError>("no stock".into())
    });
    drop(again.handle_page(&mut bus));
    let states = [
        FailureState::Failing,
        FailureState::Parked,
        FailureState::Stopped,
    ];
    let noted = states.map(|state| failed(&mut bus, "all", state)).concat();
    let at: Vec<_> = noted.iter().map(|failed| failed.position.get()).collect();
    assert_eq!(
        at,
        [4, 2],
        "order 2 was not handled, and its failure is not recorded"
    );
}

pub fn a_failure_recorded_by_a_late_holder_loses_no_message<D: Database>() {
    let (_database, mut bus) = place::<D>(1..10);
    let failure = |position| NewFailure {
        extend_lease: HOUR,
        position: Position::new(position),
        message_id: None,
        message_type: None,
        error: "no",
        state: FailureState::Failing,
    };
    // The late holder is at position 9 when its lease expires and the consumer is reset.
    let late = bus.acquire(&request("late", Duration::ZERO)).unwrap();
    let operator = bus.acquire(&request("operator", Duration::ZERO)).unwrap();
    bus.reset(&operator, Place::unanchored(Some(Position::new(4))))
        .unwrap();
    let now = bus.acquire(&request("now", Duration::ZERO)).unwrap();
    bus.record_failure(&now, &failure(5)).unwrap();
    drop(bus.record_failure(&late, &failure(9)));
    let at_5 = MessageAt {
        position: Position::new(5),
        message_id: None,
    };
    let given_up = bus.give_up(&now, at_5, FailurePolicy::Park);
    let cursor = stored_consumer(&mut bus, CONSUMER).cursor;
    let parked = bus.count_parked(CONSUMER).unwrap();
    assert!(
        parked == 1 || cursor < Some(Position::new(5)),
        "lost: {given_up:?}, cursor {cursor:?}, parked {parked}"
    );
}
