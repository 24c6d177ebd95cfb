use std::time::Duration;

use persisting_message_bus::backend::MessageConsumerState;
use persisting_message_bus::operate::{
    ConsumerCondition, ConsumerStatus, FailureState, MessageFailures, ParkedSelector,
};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::topics::Orders;

use crate::helpers::{
    ALL, Handled, assert_unknown, handled, ignoring, of_type, park, parking, place, positions,
    publish_one_of_each, recording, with_one_of_each,
};
use crate::older;

pub fn an_unknown_message_costs_no_attempt_and_no_lease<D: Database>() {
    let (_database, mut bus) = with_one_of_each::<D>();
    let seen = Handled::default();
    let mut consumer = recording::<older::Orders>("all", &seen).retry(park());
    let mut epochs = Vec::new();
    for _ in 0..3 {
        let error = assert_unknown(consumer.handle_new_messages(&mut bus));
        assert_eq!((error.attempts(), error.consumer()), (None, Some("all")));
        let row = bus.stored_consumer(ALL).unwrap().unwrap();
        assert_eq!((row.lease_owner, row.work), (None, None));
        epochs.push(row.lease_epoch);
    }
    assert_eq!(epochs[1..], [epochs[0]; 2], "it took the lease again");
    assert_eq!(handled(&seen), [of_type(1, "OrderPlaced")]);
    let status = ConsumerStatus::read(&mut bus, ALL).unwrap();
    assert_eq!(status.condition, ConsumerCondition::UnknownType);
    let failure = status.failure.unwrap();
    assert_eq!(
        (failure.state, failure.attempts),
        (FailureState::Unknown, 0)
    );
    assert_eq!(failure.message_type.as_deref(), Some("OrderShipped"));
    assert_eq!(status.parked_messages, 0);
}

pub fn a_newer_program_continues_at_once<D: Database>() {
    let database = D::create();
    let (mut bus, mut newer_bus) = (database.connect(), database.connect());
    publish_one_of_each(&mut bus);
    let seen = Handled::default();
    let mut older = recording::<older::Orders>("all", &seen);
    older.handle_new_messages(&mut bus).unwrap_err();
    let mut newer = recording::<Orders>("all", &seen);
    assert_eq!(newer.handle_new_messages(&mut newer_bus).unwrap(), 2);
    assert_eq!(older.handle_new_messages(&mut bus).unwrap(), 0);
    place(&mut bus, 4..=4);
    assert_eq!(older.handle_new_messages(&mut bus).unwrap(), 1);
    assert_eq!(positions(&seen), [1, 2, 3, 4]);
    let status = ConsumerStatus::read(&mut bus, ALL).unwrap();
    assert_eq!(status.condition, ConsumerCondition::CaughtUp);
}

pub fn an_unknown_message_is_parked_after_its_timeout_only<D: Database>() {
    let (_database, mut bus) = with_one_of_each::<D>();
    let consumer = |timeout| {
        let consumer = ignoring::<older::Orders>("all");
        consumer.retry(park()).unknown_timeout(timeout)
    };
    let hour = Duration::from_secs(3_600);
    for _ in 0..2 {
        assert_unknown(consumer(hour).handle_new_messages(&mut bus));
    }
    assert_eq!(bus.count_parked(ALL).unwrap(), 0);
    // Both unknown messages are parked.
    assert_eq!(
        consumer(Duration::ZERO)
            .handle_new_messages(&mut bus)
            .unwrap(),
        0
    );
    assert_eq!(bus.count_parked(ALL).unwrap(), 2);
    assert_eq!(bus.count_failed(ALL, FailureState::Unknown).unwrap(), 0);
}

pub fn a_waiting_consumer_handles_redriven_messages<D: Database>() {
    let (_database, mut bus) = with_one_of_each::<D>();
    let mut consumer = parking::<older::Orders, _>("all", |_| true);
    assert_unknown(consumer.handle_new_messages(&mut bus));
    assert_eq!(bus.redrive(ALL, ParkedSelector::All).unwrap(), 1);
    let seen = Handled::default();
    let mut consumer = recording::<older::Orders>("all", &seen);
    let _ = consumer.handle_new_messages(&mut bus);
    assert_eq!(handled(&seen), [of_type(1, "OrderPlaced")]);
    assert_unknown(consumer.handle_new_messages(&mut bus));
}

pub fn a_redriven_message_of_an_unknown_type_stays_redriven<D: Database>() {
    let (_database, mut bus) = with_one_of_each::<D>();
    let mut newer = parking::<Orders, _>("all", |message| message.position().get() == 2);
    assert_eq!(newer.handle_new_messages(&mut bus).unwrap(), 2);
    bus.redrive(ALL, ParkedSelector::All).unwrap();
    let seen = Handled::default();
    let mut older = recording::<older::Orders>("all", &seen);
    for _ in 0..2 {
        assert_eq!(older.handle_new_messages(&mut bus).unwrap(), 0);
    }
    assert_eq!(bus.count_failed(ALL, FailureState::Redriven).unwrap(), 1);
    place(&mut bus, 4..=4);
    assert_eq!(older.handle_new_messages(&mut bus).unwrap(), 1);
    let mut newer = recording::<Orders>("all", &seen);
    assert_eq!(newer.handle_new_messages(&mut bus).unwrap(), 1);
    assert_eq!(bus.count_failed(ALL, FailureState::Redriven).unwrap(), 0);
}
