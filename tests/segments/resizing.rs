//! Changes of the number of segments.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use persisting_message_bus::backend::{
    DividedBy, Division, LeaseRequest, MessageConsumerState, MessageSource,
};
use persisting_message_bus::handler::{External, HandlerError};
use persisting_message_bus::operate::ConsumerKey;
use persisting_message_bus::{
    Keyed, Message, MessageConsumer, MessageDispatcher, OnAdded, ParallelConsumer, StartAt,
};
use persisting_message_bus_tests::databases::Database;

use super::handling::place;
use super::topic::{Both, KEYS, Orders, Paid, Payments, Steps};
use super::{division, segments};

type Handler<S> = fn(&Message<S>) -> Result<(), HandlerError>;

/// Returns a consumer of this event set in four segments.
fn reading<S: Keyed + 'static>() -> ParallelConsumer<S, External<Handler<S>>> {
    let ignore: Handler<S> = |_| Ok(());
    ParallelConsumer::by_key(move || MessageConsumer::<S>::external("all", ignore)).segments(4)
}

pub fn segments_are_replaced_where_they_meet<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    place(&mut bus, 0..50);
    let make = || MessageConsumer::<Orders>::external("all", |_| Ok(()));
    let mut consumer = ParallelConsumer::unordered(make).segments(4);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 50);
    place(&mut bus, 50..80);
    assert!(consumer.resize(&mut bus, 16).unwrap());
    assert!(division(&mut bus, "all").unwrap().resize.is_some());
    place(&mut bus, 80..100);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 50);
    let division = division(&mut bus, "all").unwrap();
    assert_eq!((division.segments, division.resize), (16, None));
    let cursors = segments(&mut bus, "all").into_iter().map(|row| row.cursor);
    let end = bus.current_head("orders");
    let end = end.unwrap();
    assert!(cursors.clone().all(|it| it == Some(end)), "{cursors:?}");
    assert!(!consumer.resize(&mut bus, 16).unwrap(), "it has so many");
}

/// Replays `where_a_take_does_not_compare_the_slots` and
/// `where_a_take_does_not_compare_the_slots_of_a_larger_segment`.
pub fn a_segment_of_another_size_is_not_taken<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    place(&mut bus, 0..10);
    let make = || MessageConsumer::<Orders>::external("all", |_| Ok(()));
    let mut consumer = ParallelConsumer::by_key(make).segments(2);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 10);
    // A thread has this segment from a look before the change.
    let segment = Division::new(DividedBy::Key, 2).segment("all", 1);
    for number in [1, 4] {
        assert!(consumer.resize(&mut bus, number).unwrap());
        assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 0);
        let request = LeaseRequest {
            consumer: "all",
            topic: "orders",
            segment: Some(&segment),
            owner: "a thread",
            duration: Duration::from_secs(5),
            identity: Default::default(),
            hands_out: false,
        };
        let error = format!("{:#}", bus.acquire(&request).unwrap_err());
        assert!(error.contains("segment 1 is not there"), "{error}");
    }
}

/// The segments of all topics are replaced together, and messages of a key keep their order.
pub fn segments_of_two_topics_are_replaced_together<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let payments = MessageDispatcher::<Payments>::new();
    let seen: Arc<Mutex<Vec<(u64, u64)>>> = Arc::default();
    let noted = Arc::clone(&seen);
    let make = move || {
        let noted = Arc::clone(&noted);
        MessageConsumer::<Both>::external("all", move |message: &Message<Both>| {
            let (order, number) = match message.payload() {
                Both::Step(step) => (step.order, step.number),
                Both::Paid(paid) => (paid.order, paid.number),
            };
            noted.lock().unwrap().push((order, number));
            Ok(())
        })
    };
    let mut consumer = ParallelConsumer::by_key(make).segments(4);
    let mut handled = 0;
    for (round, segments) in [4, 16, 3].into_iter().enumerate() {
        let first = round as u64 * 100;
        for number in (first..first + 100).step_by(2) {
            place(&mut bus, number..number + 1);
            let paid = Paid {
                order: number % KEYS,
                number: number + 1,
            };
            payments.dispatch(&mut bus, &paid).unwrap();
        }
        if round > 0 {
            assert!(consumer.resize(&mut bus, segments).unwrap());
        }
        handled += consumer.handle_new_messages(&mut bus).unwrap();
        for topic in ["orders", "payments"] {
            let key = ConsumerKey {
                consumer: "all",
                topic,
            };
            let row = bus.stored_consumer(key).unwrap().unwrap();
            let expected = Division::new(DividedBy::Key, segments);
            assert_eq!(row.division, Some(expected), "{topic}");
        }
    }
    assert_eq!(handled, 300);
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 300, "each once");
    for order in 0..KEYS {
        let numbers = seen.iter().filter(|it| it.0 == order).map(|it| it.1);
        assert!(numbers.is_sorted(), "{order}: {seen:?}");
    }
}

/// A program that reads fewer topics would leave segments of another size on the topics that it does not
/// know.
pub fn a_program_that_reads_less_does_not_change_the_number<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    place(&mut bus, 0..20);
    let (mut wide, mut narrow) = (reading::<Both>(), reading::<Steps>());
    assert_eq!(wide.handle_new_messages(&mut bus).unwrap(), 20);
    let refused = format!("{:#}", narrow.resize(&mut bus, 8).unwrap_err());
    assert!(refused.contains("this program reads"), "{refused}");

    assert!(wide.resize(&mut bus, 8).unwrap());
    narrow.handle_new_messages(&mut bus).unwrap();
    for topic in ["orders", "payments"] {
        let key = ConsumerKey {
            consumer: "all",
            topic,
        };
        let row = bus.stored_consumer(key).unwrap().unwrap();
        assert_eq!(row.division.unwrap().segments, 4, "{topic}");
    }
    assert_eq!(wide.handle_new_messages(&mut bus).unwrap(), 0);
    assert_eq!(
        division(&mut bus, "all"),
        Some(Division::new(DividedBy::Key, 8))
    );
}

/// A program that was told to read fewer topics changes the number of segments on these. One that reads
/// the other topic again would handle keys of the same number in different segments.
pub fn a_topic_that_was_left_out_of_a_change_is_told<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    place(&mut bus, 0..20);
    let (mut wide, mut narrow) = (reading::<Both>(), reading::<Steps>());
    assert_eq!(wide.handle_new_messages(&mut bus).unwrap(), 20);
    narrow.narrow_event_set(&mut bus).unwrap();
    assert!(narrow.resize(&mut bus, 8).unwrap());
    assert_eq!(narrow.handle_new_messages(&mut bus).unwrap(), 0);

    let error = wide.handle_new_messages(&mut bus).unwrap_err();
    let told = format!("{error:#}");
    for expected in [
        "consumer \"all\"",
        "by key into 8 segments on topic \"orders\"",
        "by key into 4 on topic \"payments\"",
    ] {
        assert!(told.contains(expected), "{expected}: {told}");
    }
    assert!(!error.is_retryable(), "{told}");
    place(&mut bus, 20..30);
    let handled = narrow.handle_new_messages(&mut bus).unwrap();
    assert_eq!(handled, 10, "it goes on");

    // The way out that the error tells.
    assert!(narrow.resize(&mut bus, 4).unwrap());
    let waits = wide.handle_new_messages(&mut bus).unwrap_err();
    assert!(waits.is_retryable(), "{waits:#}");
    assert_eq!(narrow.handle_new_messages(&mut bus).unwrap(), 0);
    place(&mut bus, 30..40);
    let ignore: Handler<Both> = |_| Ok(());
    let again = move || {
        let consumer = MessageConsumer::<Both>::external("all", ignore);
        consumer.on_added(OnAdded::FromNow)
    };
    let mut wide = ParallelConsumer::by_key(again).segments(4);
    assert_eq!(wide.handle_new_messages(&mut bus).unwrap(), 10);
}

/// A consumer is divided on all topics or on none. So a topic whose lease another holder has does not
/// look added afterwards.
pub fn topics_are_divided_together<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    place(&mut bus, 0..20);
    let request = LeaseRequest {
        consumer: "all",
        topic: "payments",
        segment: None,
        owner: "another process",
        duration: Duration::from_secs(60),
        identity: Default::default(),
        hands_out: false,
    };
    let held = bus.acquire(&request).unwrap();
    let make = || MessageConsumer::<Both>::external("all", |_| Ok(())).start_at(StartAt::End);
    let mut consumer = ParallelConsumer::by_key(make).segments(4);
    let error = consumer.handle_new_messages(&mut bus).unwrap_err();
    assert!(error.is_lease_held(), "{error:#}");
    assert_eq!(division(&mut bus, "all"), None);
    bus.release(&held).unwrap();
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 0);
    assert_eq!(
        division(&mut bus, "all"),
        Some(Division::new(DividedBy::Key, 4))
    );
}
