use std::time::Duration;

use persisting_message_bus::backend::MessageConsumerState;
use persisting_message_bus::operate::{
    ConsumerCondition, ConsumerKey, ConsumerStatus, FailureState, MessageFailures, ParkedSelector,
};
use persisting_message_bus::{FailurePolicy, Message, MessageConsumer, RetryPolicy};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::topics::Orders;

use crate::{Handled, handled, of_type, older, publish_one_of_each, recording};

const KEY: ConsumerKey<'static> = ConsumerKey {
    consumer: "all",
    topic: "orders",
};

fn park() -> RetryPolicy {
    RetryPolicy::default()
        .max_attempts(1)
        .on_exhausted(FailurePolicy::Park)
}

pub fn an_unknown_message_costs_no_attempt_and_no_lease<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    publish_one_of_each(&mut bus);
    let seen = Handled::default();
    let mut consumer = recording::<older::Orders>("all", &seen).retry(park());
    let mut epochs = Vec::new();
    for _ in 0..3 {
        let error = consumer.handle_new_messages(&mut bus).unwrap_err();
        assert!(error.is_unknown_message(), "{error:#}");
        assert_eq!((error.attempts(), error.consumer()), (None, Some("all")));
        let row = bus.stored_consumer(KEY).unwrap().unwrap();
        assert_eq!((row.lease_owner, row.work), (None, None));
        epochs.push(row.lease_epoch);
    }
    assert_eq!(epochs[1..], [epochs[0]; 2], "it took the lease again");
    assert_eq!(handled(&seen), [of_type(1, "OrderPlaced")]);
    let status = ConsumerStatus::read(&mut bus, KEY).unwrap();
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
    crate::place(&mut bus, 4..=4);
    assert_eq!(older.handle_new_messages(&mut bus).unwrap(), 1);
    let positions: Vec<_> = handled(&seen).into_iter().map(|(at, _)| at).collect();
    assert_eq!(positions, [1, 2, 3, 4]);
    let status = ConsumerStatus::read(&mut bus, KEY).unwrap();
    assert_eq!(status.condition, ConsumerCondition::CaughtUp);
}

pub fn an_unknown_message_is_parked_after_its_timeout_only<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    publish_one_of_each(&mut bus);
    let consumer = |timeout| {
        let ignore = |_: &Message<older::Orders>| Ok(());
        let consumer = MessageConsumer::<older::Orders>::external("all", ignore);
        consumer.retry(park()).unknown_timeout(timeout)
    };
    let hour = Duration::from_secs(3_600);
    for _ in 0..2 {
        let error = consumer(hour).handle_new_messages(&mut bus).unwrap_err();
        assert!(error.is_unknown_message(), "{error:#}");
    }
    assert_eq!(bus.count_parked(KEY).unwrap(), 0);
    // Both unknown messages are parked.
    assert_eq!(
        consumer(Duration::ZERO)
            .handle_new_messages(&mut bus)
            .unwrap(),
        0
    );
    assert_eq!(bus.count_parked(KEY).unwrap(), 2);
    assert_eq!(bus.count_failed(KEY, FailureState::Unknown).unwrap(), 0);
}

pub fn a_waiting_consumer_handles_redriven_messages<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    publish_one_of_each(&mut bus);
    let fails = |_: &Message<older::Orders>| Err("not now".into());
    let mut consumer = MessageConsumer::<older::Orders>::external("all", fails).retry(park());
    assert!(
        consumer
            .handle_new_messages(&mut bus)
            .unwrap_err()
            .is_unknown_message()
    );
    assert_eq!(bus.redrive(KEY, ParkedSelector::All).unwrap(), 1);
    let seen = Handled::default();
    let mut consumer = recording::<older::Orders>("all", &seen);
    let _ = consumer.handle_new_messages(&mut bus);
    assert_eq!(handled(&seen), [of_type(1, "OrderPlaced")]);
    assert!(
        consumer
            .handle_new_messages(&mut bus)
            .unwrap_err()
            .is_unknown_message()
    );
}

pub fn a_redriven_message_of_an_unknown_type_stays_redriven<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    publish_one_of_each(&mut bus);
    let fails = |message: &Message<Orders>| match message.position().get() {
        2 => Err("not now".into()),
        _ => Ok(()),
    };
    let mut newer = MessageConsumer::<Orders>::external("all", fails).retry(park());
    assert_eq!(newer.handle_new_messages(&mut bus).unwrap(), 2);
    bus.redrive(KEY, ParkedSelector::All).unwrap();
    let seen = Handled::default();
    let mut older = recording::<older::Orders>("all", &seen);
    for _ in 0..2 {
        assert_eq!(older.handle_new_messages(&mut bus).unwrap(), 0);
    }
    assert_eq!(bus.count_failed(KEY, FailureState::Redriven).unwrap(), 1);
    crate::place(&mut bus, 4..=4);
    assert_eq!(older.handle_new_messages(&mut bus).unwrap(), 1);
    let mut newer = recording::<Orders>("all", &seen);
    assert_eq!(newer.handle_new_messages(&mut bus).unwrap(), 1);
    assert_eq!(bus.count_failed(KEY, FailureState::Redriven).unwrap(), 0);
}
