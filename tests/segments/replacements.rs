//! Replays of the controls of the model of segments that replace the segments.

use std::time::Duration;

use persisting_message_bus::backend::{
    CursorUpdate, DividedBy, Division, Lease, MessageConsumerState, MessageSource, Place,
    SegmentChange,
};
use persisting_message_bus::handler::{External, HandlerError};
use persisting_message_bus::operate::ConsumerKey;
use persisting_message_bus::{Message, MessageConsumer, ParallelConsumer, Position};
use persisting_message_bus_tests::databases::Database;

use super::handling::{Handled, note, numbers, place};
use super::topic::{Both, Orders};
use super::traces::{divide, segment, take};
use super::{division, key};

const LEASE: Duration = Duration::from_secs(60);

type Consumer = ParallelConsumer<Orders, External<Handler>>;
type Handler = Box<dyn FnMut(&Message<Orders>) -> Result<(), HandlerError> + Send>;

/// Returns a consumer of the same name, and the messages that it handles.
fn consumer() -> (Consumer, Handled) {
    let handled = Handled::default();
    let noted = Handled::clone(&handled);
    let make = move || {
        let noted = Handled::clone(&noted);
        let handler: Handler = Box::new(move |message| {
            note(&noted, message);
            Ok(())
        });
        MessageConsumer::external("all", handler)
    };
    (ParallelConsumer::by_key(make), handled)
}

fn by_key(segments: u16) -> Option<Division> {
    Some(Division::new(DividedBy::Key, segments))
}

/// Replays `where_epochs_begin_again`: a segment of the same name and slots is there again, and the
/// thread of an earlier holder ends its message.
pub fn epochs_of_new_segments_go_on<D: Database>() {
    let (_database, mut bus) = divide::<D>(1);
    let only = segment(&mut bus, 0);
    let late = take(&mut bus, &only, "first", Duration::ZERO).unwrap();
    let (mut operator, _) = consumer();
    for segments in [2, 1] {
        assert!(operator.resize(&mut bus, segments).unwrap());
        assert_eq!(operator.handle_new_messages(&mut bus).unwrap(), 0);
        assert_eq!(division(&mut bus, "all"), by_key(segments));
    }
    assert_eq!(segment(&mut bus, 0), only);
    let new = take(&mut bus, &only, "first", LEASE).unwrap();
    assert!(new.epoch > late.epoch + 1, "{new:?}, {late:?}");
    let update = CursorUpdate {
        place: Place {
            cursor: Some(Position::new(1)),
            anchor: None,
        },
        extend_lease: None,
    };
    let refused = bus.store_cursor(&late, &update).unwrap_err();
    assert!(refused.is_lease_lost(), "{refused}");
    assert!(bus.renew(&late, LEASE).unwrap_err().is_lease_lost());
}

/// Replays `where_own_segments_are_replaced`: a thread is at work on a segment, and a process wants to
/// replace all. The thread has handled all of its messages, but not released the segment.
pub fn segments_that_are_held_are_not_replaced<D: Database>() {
    let (_database, mut bus) = divide::<D>(2);
    let held = segment(&mut bus, 1);
    let lease = take(&mut bus, &held, "a thread", LEASE).unwrap();
    let (mut operator, _) = consumer();
    assert!(operator.resize(&mut bus, 4).unwrap());
    // The other segment is handled meanwhile.
    drop(operator.handle_new_messages(&mut bus));
    let during = division(&mut bus, "all").unwrap();
    assert_eq!(during.segments, 2);
    assert!(during.resize.is_some(), "{during}");
    bus.renew(&lease, LEASE).unwrap();
    bus.release(&lease).unwrap();
    operator.handle_new_messages(&mut bus).unwrap();
    assert_eq!(division(&mut bus, "all"), by_key(4));
}

/// Replays `where_the_stop_is_not_raised` and `where_later_cursors_are_replaced`: a poll from before the
/// change hands out a message after the position at which segments stop.
pub fn the_stop_is_raised_to_a_cursor_after_it<D: Database>() {
    let (_database, mut bus) = divide::<D>(2);
    place(&mut bus, 0..20);
    let (mut operator, handled) = consumer();
    assert_eq!(operator.handle_new_messages(&mut bus).unwrap(), 20);
    assert!(operator.resize(&mut bus, 4).unwrap());
    place(&mut bus, 20..40);
    // The thread has handled the new messages of its segment.
    let first = segment(&mut bus, 0);
    let end = bus.current_head("orders").unwrap();
    let lease = take(&mut bus, &first, "a thread", LEASE).unwrap();
    let mut place = lease.place();
    place.cursor = Some(end);
    let update = CursorUpdate {
        place,
        extend_lease: None,
    };
    bus.store_cursor(&lease, &update).unwrap();
    operator.handle_new_messages(&mut bus).unwrap();
    assert_eq!(division(&mut bus, "all"), by_key(4));
    // All others come once, those of the thread do not come again.
    let all = numbers(&handled);
    let mut once = all.clone();
    once.dedup();
    assert_eq!(all, once);
    assert!((21..40).contains(&all.len()), "{all:?}");
}

/// Returns the leases of all segments, and the change to other segments.
fn change<'a>(
    bus: &mut impl MessageConsumerState,
    topic: &'a str,
    segments: [u16; 2],
    duration: Duration,
) -> SegmentChange<'a> {
    let [before, after] = segments.map(|it| Division::new(DividedBy::Key, it));
    let all = before.all("all").collect::<Vec<_>>();
    let leases = all.iter().map(|segment| {
        let request = persisting_message_bus::backend::LeaseRequest {
            consumer: "all",
            topic,
            segment: Some(segment),
            owner: "a process that replaces them",
            duration,
            identity: Default::default(),
            hands_out: false,
        };
        bus.acquire(&request).unwrap()
    });
    let leases: Vec<Lease> = leases.collect();
    SegmentChange {
        key: ConsumerKey {
            consumer: "all",
            topic,
        },
        before,
        after,
        leases,
        place: Place::BEFORE_ALL,
    }
}

/// Replays `where_a_segment_is_taken_between_check_and_replacing`, and
/// `where_rows_are_deleted_and_inserted_apart`: the replacing changes nothing.
pub fn a_segment_that_was_taken_meanwhile_is_not_replaced<D: Database>() {
    let (_database, mut bus) = divide::<D>(2);
    let changes = [change(&mut bus, "orders", [2, 4], Duration::ZERO)];
    let second = segment(&mut bus, 1);
    let thread = take(&mut bus, &second, "a thread", LEASE).unwrap();
    let refused = bus.replace_segments(&changes).unwrap_err();
    assert!(refused.is_lease_lost(), "{refused}");
    assert_eq!(division(&mut bus, "all"), by_key(2));
    let rows = bus.segments(key("all"), by_key(2).unwrap()).unwrap();
    assert_eq!(rows[1].row.lease_owner.as_deref(), Some("a thread"));
    bus.renew(&thread, LEASE).unwrap();
}

/// Replays `where_topics_are_replaced_one_after_the_other`: the segments of the second topic cannot be
/// replaced, so those of the first are not replaced either.
pub fn segments_of_no_topic_are_replaced_if_one_is_held<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let make = || MessageConsumer::<Both>::external("all", |_| Ok(()));
    let mut consumer = ParallelConsumer::by_key(make).segments(2);
    consumer.handle_new_messages(&mut bus).unwrap();
    let changes = ["orders", "payments"].map(|it| change(&mut bus, it, [2, 1], Duration::ZERO));
    let lost = &changes[1].leases[1];
    let request = persisting_message_bus::backend::LeaseRequest {
        consumer: "all",
        topic: "payments",
        segment: lost.segment.as_ref(),
        owner: "a thread",
        duration: LEASE,
        identity: Default::default(),
        hands_out: false,
    };
    bus.acquire(&request).unwrap();
    let refused = bus.replace_segments(&changes).unwrap_err();
    assert!(refused.is_lease_lost(), "{refused}");
    for change in &changes {
        let rows = bus.segments(change.key, change.before).unwrap();
        assert_eq!(rows.len(), 2, "{}", change.key.topic);
        let stored = bus.stored_consumer(change.key).unwrap().unwrap();
        assert_eq!(stored.division, by_key(2));
    }
}
