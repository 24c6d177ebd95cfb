//! The status of a consumer that is divided.

use persisting_message_bus::backend::{DividedBy, Division, MessageConsumerState, MessageSource};
use persisting_message_bus::operate::{ConsumerCondition, ConsumerStatus, FailureState};
use persisting_message_bus::{FailurePolicy, MessageBus, MessageDispatcher, ParallelConsumer};
use persisting_message_bus_tests::databases::Database;

use super::handling::{MESSAGES, place};
use super::key;
use super::operating::{divided, take, undivided};
use super::parking::{Poisoned, failing};
use super::topic::{KEYS, Orders, Step};

fn status(bus: &mut (impl MessageSource + MessageConsumerState)) -> ConsumerStatus {
    ConsumerStatus::read(bus, key("all")).unwrap()
}

pub fn the_status_counts_the_messages_of_each_segment<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    place(&mut bus, 0..MESSAGES);
    assert_eq!(status(&mut bus).condition, ConsumerCondition::NeverRan);
    assert_eq!(undivided("all").handle_new_messages(&mut bus).unwrap(), 100);
    let whole = status(&mut bus);
    assert_eq!((whole.division, whole.lag_spread), (None, 0));
    assert!(whole.segments.is_empty());

    let mut consumer = divided("all");
    place(&mut bus, 100..140);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 40);
    let caught_up = status(&mut bus);
    assert_eq!(caught_up.condition, ConsumerCondition::CaughtUp);
    assert_eq!(caught_up.cursor, caught_up.head);
    assert_eq!((caught_up.lag_messages, caught_up.lag_seconds), (0, 0.0));
    assert_eq!(caught_up.lease_owner, None);
    assert!(caught_up.cursor_moved_at.is_some());
    let division = Division::new(DividedBy::Position, 4);
    assert_eq!(caught_up.division, Some(division));
    let numbers: Vec<_> = caught_up.segments.iter().map(|it| it.number).collect();
    assert_eq!(numbers, [0, 1, 2, 3]);
    let lags = caught_up.segments.iter().map(|it| it.lag_messages);
    assert_eq!(lags.sum::<u64>(), 0);

    place(&mut bus, 140..200);
    let lagging = status(&mut bus);
    assert_eq!(lagging.condition, ConsumerCondition::Lagging);
    assert_eq!(lagging.cursor, caught_up.cursor);
    assert_eq!(lagging.lag_messages, 60);
    let lags: Vec<_> = lagging.segments.iter().map(|it| it.lag_messages).collect();
    assert_eq!(lags.iter().sum::<u64>(), 60);
    let spread = lags.iter().max().unwrap() - lags.iter().min().unwrap();
    assert_eq!(lagging.lag_spread, spread);

    take(&mut bus, "all", 2);
    let working = status(&mut bus);
    assert_eq!(working.condition, ConsumerCondition::Working);
    assert_eq!(working.lease_owner.as_deref(), Some("another process"));
    assert_eq!(working.segments[2].lease_owner, working.lease_owner);
    assert_eq!(working.segments[1].lease_owner, None);

    let json = serde_json::to_value(&working).unwrap();
    assert_eq!(json["division"], "position 4");
    assert_eq!(json["segments"].as_array().unwrap().len(), 4);
    assert_eq!(json["segments"][2]["lease_owner"], "another process");
}

pub fn a_segment_with_most_messages_widens_the_spread<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let mut consumer = ParallelConsumer::by_key(|| undivided("all")).segments(4);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 0);
    // All have the same key.
    let of_one_order = (0..30).map(|number| Step::of(number * KEYS));
    MessageDispatcher::<Orders>::new()
        .dispatch_batch(&mut bus, of_one_order)
        .unwrap();
    let lagging = status(&mut bus);
    assert_eq!((lagging.lag_messages, lagging.lag_spread), (30, 30));
    assert!(lagging.lag_seconds > 0.0);
    let busy: Vec<_> = lagging.segments.iter().map(|it| it.lag_messages).collect();
    assert_eq!(busy.iter().filter(|lag| **lag == 30).count(), 1, "{busy:?}");
    assert_eq!(lagging.cursor, None);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 30);
}

pub fn a_failing_segment_is_the_condition_of_the_consumer<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    place(&mut bus, 0..MESSAGES);
    let poisoned = Poisoned::new();
    let handler = poisoned.clone();
    let make = move || failing("all", &handler, FailurePolicy::Stop);
    let mut consumer = ParallelConsumer::unordered(make).segments(8);
    let error = consumer.handle_new_messages(&mut bus).unwrap_err();
    assert!(error.is_handler_failure(), "{error}");
    let stopped = status(&mut bus);
    assert_eq!(stopped.condition, ConsumerCondition::Stopped);
    let failure = stopped.failure.clone().expect("a failure");
    assert_eq!(failure.state, FailureState::Stopped);
    assert!(failure.error.contains("a poisonous order"));
    let fails = |status: &ConsumerStatus| -> Vec<u16> {
        let failing = status.segments.iter().filter(|it| it.failure.is_some());
        failing.map(|it| it.number).collect()
    };
    let [failing] = *fails(&stopped) else {
        panic!("one segment fails: {stopped:?}")
    };
    // Everything up to the lowest cursor is handled.
    assert_eq!(
        stopped.cursor,
        stopped.segments[usize::from(failing)].cursor
    );
    assert!(stopped.cursor < Some(failure.position));
    for segment in &stopped.segments {
        assert_eq!(segment.lag_messages > 0, segment.number == failing);
    }
    assert_eq!(stopped.lag_messages, stopped.lag_spread);

    poisoned.cure();
    consumer.handle_new_messages(&mut bus).unwrap();
    assert_eq!(poisoned.numbers(), Vec::from_iter(0..MESSAGES));
    let caught_up = status(&mut bus);
    assert_eq!(caught_up.condition, ConsumerCondition::CaughtUp);
    assert_eq!(fails(&caught_up), [0; 0]);
}

pub fn a_pause_and_a_broken_cursor_are_those_of_the_whole_consumer<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    place(&mut bus, 0..MESSAGES);
    let mut consumer = divided("all");
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 100);
    assert!(consumer.pause(&mut bus).unwrap());
    let paused = status(&mut bus);
    assert_eq!(paused.condition, ConsumerCondition::Paused);
    assert!(paused.paused_at.is_some());
    assert!(consumer.resume(&mut bus).unwrap());
    let mut other = MessageBus::new(database.connect(), database.connect()).source("other");
    let broken = status(&mut other);
    assert_eq!(broken.condition, ConsumerCondition::BrokenCursor);
    assert!(broken.problem.is_some());
    assert_eq!(broken.lag_messages, 0);
    assert_eq!(broken.segments.len(), 4);
}
