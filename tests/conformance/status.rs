use std::time::Duration;

use chrono::{TimeDelta, Utc};
use persisting_message_bus::backend::{LeaseRequest, MessageConsumerState, MessageRepository};
use persisting_message_bus::operate::{
    ConsumerCondition, ConsumerKey, ConsumerStatus, FailureState,
};
use persisting_message_bus::{FailurePolicy, Message, MessageConsumer, OnDuplicate, Position};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};

use super::consuming::raw;
use super::failing::{after, place};
use super::{TestBus, consume, ignore, orders};

fn status(bus: &mut impl TestBus) -> ConsumerStatus {
    ConsumerStatus::read(
        bus,
        ConsumerKey {
            consumer: "all",
            topic: "orders",
        },
    )
    .unwrap()
}

pub fn a_consumer_goes_through_its_conditions<D: Database>() {
    let (_database, mut bus) = place::<D>(1..4);
    let never = status(&mut bus);
    assert_eq!(never.condition, ConsumerCondition::NeverRan);
    assert_eq!((never.cursor, never.lag_messages), (None, 3));

    consume(&mut bus, "all");
    let caught_up = status(&mut bus);
    assert_eq!(caught_up.condition, ConsumerCondition::CaughtUp);
    assert_eq!(caught_up.cursor, Some(Position::new(3)));
    assert_eq!(caught_up.head, caught_up.cursor);
    assert_eq!((caught_up.lag_messages, caught_up.lag_seconds), (0, 0.0));

    orders()
        .dispatch(&mut bus, &OrderPlaced::number(4))
        .unwrap();
    let lagging = status(&mut bus);
    assert_eq!(lagging.condition, ConsumerCondition::Lagging);
    assert_eq!(lagging.head, Some(Position::new(4)));
    assert_eq!(lagging.lag_messages, 1);

    let lease = bus.acquire(&LeaseRequest {
        consumer: "all",
        topic: "orders",
        segment: None,
        owner: "me",
        duration: Duration::from_secs(3_600),
        identity: Default::default(),
        hands_out: false,
    });
    let working = status(&mut bus);
    assert_eq!(working.condition, ConsumerCondition::Working);
    assert_eq!(working.lease_owner.as_deref(), Some("me"));
    assert!(working.lease_expires_at > Some(Utc::now()));
    assert!(working.cursor_moved_at.is_some());
    bus.release(&lease.unwrap()).unwrap();

    let consumer = MessageConsumer::<Orders>::external("all", ignore::<Message<Orders>>);
    consumer.pause(&mut bus).unwrap();
    let paused = status(&mut bus);
    assert_eq!(paused.condition, ConsumerCondition::Paused);
    assert!(paused.paused_at.is_some());
}

pub fn a_lease_holder_without_progress_is_not_working<D: Database>() {
    let (_database, mut bus) = place::<D>(1..2);
    bus.acquire(&LeaseRequest {
        consumer: "all",
        topic: "orders",
        segment: None,
        owner: "me",
        duration: Duration::from_secs(3_600),
        identity: Default::default(),
        hands_out: false,
    })
    .unwrap();
    assert_eq!(status(&mut bus).condition, ConsumerCondition::Held);
}

pub fn an_expired_lease_does_not_count_as_held<D: Database>() {
    let (_database, mut bus) = place::<D>(1..2);
    bus.acquire(&LeaseRequest {
        consumer: "all",
        topic: "orders",
        segment: None,
        owner: "me",
        duration: Duration::ZERO,
        identity: Default::default(),
        hands_out: false,
    })
    .unwrap();
    let status = status(&mut bus);
    assert_eq!(status.condition, ConsumerCondition::Lagging);
    assert_eq!(status.lease_owner.as_deref(), Some("me"));
}

pub fn failures_show_with_their_error<D: Database>() {
    let (_database, mut bus) = place::<D>(1..4);
    let mut failing = MessageConsumer::<Orders>::external("all", |message: &Message<Orders>| {
        match message.payload().order() {
            1 => Ok(()),
            _ => Err("no stock".into()),
        }
    })
    .retry(after(2, FailurePolicy::Stop));
    let conditions = [ConsumerCondition::Failing, ConsumerCondition::Stopped];
    for (condition, attempts) in conditions.into_iter().zip(1..) {
        failing.handle_page(&mut bus).unwrap_err();
        let status = status(&mut bus);
        assert_eq!(status.condition, condition);
        let failure = status.failure.unwrap();
        assert_eq!((failure.position.get(), failure.attempts), (2, attempts));
        assert!(failure.error.ends_with(": no stock"), "{failure:?}");
    }
    let mut parking = failing.retry(after(1, FailurePolicy::Park));
    parking.handle_page(&mut bus).unwrap();
    let parked = status(&mut bus);
    assert_eq!(parked.parked_messages, 2);
    assert_eq!(parked.failure, None);
    assert_eq!(parked.condition, ConsumerCondition::CaughtUp);
}

/// A consumer that attempts one message again and again makes no progress.
pub fn an_attempt_that_fails_is_no_progress<D: Database>() {
    let (_database, mut bus) = place::<D>(1..4);
    let mut failing = MessageConsumer::<Orders>::external("all", |message: &Message<Orders>| {
        match message.payload().order() {
            1 => Ok(()),
            _ => Err("no stock".into()),
        }
    })
    .retry(after(3, FailurePolicy::Stop));
    failing.handle_page(&mut bus).unwrap_err();
    let first = status(&mut bus);
    assert_eq!(first.cursor, Some(Position::new(1)));
    failing.handle_page(&mut bus).unwrap_err();
    let second = status(&mut bus);
    assert_eq!(second.failure.unwrap().attempts, 2);
    assert_eq!(second.cursor_moved_at, first.cursor_moved_at);
}

pub fn a_failure_is_cleared_when_its_message_is_handled<D: Database>() {
    let (_database, mut bus) = place::<D>(1..3);
    let mut attempts = 0;
    let mut consumer = MessageConsumer::<Orders>::external("all", |_: &Message<Orders>| {
        attempts += 1;
        match attempts {
            1 => Err("no stock".into()),
            _ => Ok(()),
        }
    });
    consumer.handle_page(&mut bus).unwrap_err();
    consumer.handle_page(&mut bus).unwrap();
    assert_eq!(status(&mut bus).failure, None);
    assert_eq!(status(&mut bus).condition, ConsumerCondition::CaughtUp);
}

pub fn lag_is_the_age_of_the_first_message_after_the_cursor<D: Database>() {
    let (_database, mut bus) = place::<D>(0..0);
    let publish = |bus: &mut D::Bus, minutes| {
        let mut message = raw("OrderShipped", "{\"order\":1}");
        message.published_at = Utc::now() - TimeDelta::minutes(minutes);
        bus.persist(&[message], OnDuplicate::Fail).unwrap();
    };
    publish(&mut bus, 90);
    consume(&mut bus, "all");
    publish(&mut bus, 60);
    publish(&mut bus, 30);
    let status = status(&mut bus);
    assert_eq!(status.lag_messages, 2);
    let minutes = status.lag_seconds / 60.0;
    assert!((59.0..61.0).contains(&minutes), "{minutes}");
}

pub fn a_status_serialises_to_json<D: Database>() {
    let (_database, mut bus) = place::<D>(1..2);
    let mut parking = MessageConsumer::<Orders>::external("all", |_: &Message<Orders>| {
        Err::<(), _>("no stock".into())
    })
    .retry(after(1, FailurePolicy::Stop));
    parking.handle_page(&mut bus).unwrap_err();
    let json = serde_json::to_value(status(&mut bus)).unwrap();
    assert_eq!(json["condition"], "stopped");
    assert_eq!(json["lag_messages"], 1);
    assert_eq!(json["failure"]["position"], 1);
    assert_eq!(json["failure"]["state"], FailureState::Stopped.as_str());
}
