//! What operators do with a consumer that is divided.

use std::time::Duration;

use persisting_message_bus::backend::{
    DividedBy, Division, Lease, LeaseRequest, MessageConsumerState, MessageSource,
};
use persisting_message_bus::handler::{External, HandlerError};
use persisting_message_bus::operate::end_lease;
use persisting_message_bus::{
    Message, MessageBus, MessageConsumer, ParallelConsumer, Position, StartAt,
};
use persisting_message_bus_tests::databases::Database;

use super::handling::{MESSAGES, place};
use super::topic::Orders;
use super::{division, key, segments};

type Handler = fn(&Message<Orders>) -> Result<(), HandlerError>;

/// Returns a consumer that does nothing with its messages.
pub fn undivided(name: &'static str) -> MessageConsumer<Orders, External<Handler>> {
    MessageConsumer::<Orders>::external(name, |_| Ok(()))
}

/// Returns such a consumer, in four segments.
pub fn divided(name: &'static str) -> ParallelConsumer<Orders, External<Handler>> {
    ParallelConsumer::unordered(move || undivided(name)).segments(4)
}

/// Takes the lease of a segment for another process.
pub fn take(bus: &mut impl MessageConsumerState, consumer: &str, number: u16) -> Lease {
    let segment = division(bus, consumer).unwrap().segment(consumer, number);
    let request = LeaseRequest {
        consumer,
        topic: "orders",
        segment: Some(&segment),
        owner: "another process",
        duration: Duration::from_secs(3_600),
        identity: Default::default(),
        hands_out: false,
    };
    bus.acquire(&request).unwrap()
}

fn cursors(bus: &mut impl MessageConsumerState) -> Vec<Option<Position>> {
    let rows = segments(bus, "all");
    rows.into_iter().map(|row| row.cursor).collect()
}

pub fn all_segments_move_to_one_place<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    place(&mut bus, 0..60);
    let middle = bus.current_head("orders").unwrap();
    place(&mut bus, 60..MESSAGES);
    let mut consumer = divided("all");
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 100);
    consumer.reset(&mut bus, StartAt::Position(middle)).unwrap();
    assert_eq!(cursors(&mut bus), [Some(middle); 4]);
    let rows = segments(&mut bus, "all");
    assert!(rows.iter().all(|row| row.lease_owner.is_none()));
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 40);
    consumer.reset(&mut bus, StartAt::Start).unwrap();
    assert_eq!(cursors(&mut bus), [None; 4]);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 100);
    let error = consumer
        .reset(&mut bus, StartAt::Position(Position::new(1_000_000)))
        .unwrap_err();
    assert!(error.is_broken_cursor(), "{error}");
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 0);
}

pub fn a_reset_moves_no_segment_when_one_is_held<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    place(&mut bus, 0..MESSAGES);
    let mut consumer = divided("all");
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 100);
    let before = cursors(&mut bus);
    let lease = take(&mut bus, "all", 2);
    let error = consumer.reset(&mut bus, StartAt::Start).unwrap_err();
    assert!(error.is_lease_held(), "{error}");
    assert!(error.to_string().contains("segment 2"), "{error}");
    assert_eq!(cursors(&mut bus), before);
    let owners = segments(&mut bus, "all").into_iter();
    let owners: Vec<_> = owners.map(|row| row.lease_owner.is_some()).collect();
    assert_eq!(owners, [false, false, true, false]);
    bus.release(&lease).unwrap();
    consumer.reset(&mut bus, StartAt::Start).unwrap();
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 100);
}

/// A message that keeps failing holds up a change. A reset gets the consumer past it.
pub fn segments_are_reset_while_their_number_changes<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    place(&mut bus, 0..MESSAGES);
    let mut consumer = divided("all");
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 100);
    assert!(consumer.resize(&mut bus, 8).unwrap());
    consumer.reset(&mut bus, StartAt::Start).unwrap();
    assert_eq!(cursors(&mut bus), [None; 4]);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 100);
    let expected = Division::new(DividedBy::Position, 8);
    assert_eq!(division(&mut bus, "all"), Some(expected));

    place(&mut bus, 100..120);
    assert!(consumer.resize(&mut bus, 2).unwrap());
    place(&mut bus, 120..130);
    consumer.reset(&mut bus, StartAt::End).unwrap();
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 0);
    let expected = Division::new(DividedBy::Position, 2);
    assert_eq!(division(&mut bus, "all"), Some(expected));
    place(&mut bus, 130..140);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 10);
}

pub fn a_reset_before_the_first_run_moves_the_start<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    place(&mut bus, 0..5);
    let mut consumer = divided("all");
    consumer.reset(&mut bus, StartAt::End).unwrap();
    place(&mut bus, 5..8);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 3);
}

pub fn an_undivided_program_cannot_move_a_divided_consumer<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    place(&mut bus, 0..MESSAGES);
    let mut consumer = divided("all");
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 100);
    let before = bus.stored_consumer(key("all")).unwrap().unwrap();
    let mut other = undivided("all");
    for refused in [
        other.reset(&mut bus, StartAt::Start),
        other.narrow_event_set(&mut bus),
        other.accept_source(&mut bus),
    ] {
        let text = format!("{:#}", refused.unwrap_err());
        assert!(text.contains("divided by position into 4"), "{text}");
        assert!(text.contains("`ParallelConsumer`"), "{text}");
    }
    let after = bus.stored_consumer(key("all")).unwrap().unwrap();
    assert_eq!((after.cursor, after.lease_owner), (before.cursor, None));
    assert_eq!(after.lease_epoch, before.lease_epoch, "no lease was taken");
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 0);
}

pub fn a_source_is_accepted_for_all_segments<D: Database>() {
    let database = D::create();
    place(&mut database.connect(), 0..MESSAGES);
    let from = |source| MessageBus::new(database.connect(), database.connect()).source(source);
    let mut consumer = divided("all");
    let mut bus = from("shop");
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 100);
    let before = cursors(&mut bus);
    let mut renamed = from("web-shop");
    let error = consumer.handle_new_messages(&mut renamed).unwrap_err();
    assert!(error.is_broken_cursor(), "{error}");
    consumer.accept_source(&mut renamed).unwrap();
    assert_eq!(consumer.handle_new_messages(&mut renamed).unwrap(), 0);
    assert_eq!(cursors(&mut bus), before);
    let rows = segments(&mut bus, "all").into_iter();
    let sources: Vec<_> = rows.map(|row| row.identity.source.unwrap()).collect();
    assert_eq!(sources, ["web-shop"; 4]);
}

pub fn all_leases_of_segments_are_ended<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    place(&mut bus, 0..MESSAGES);
    let mut consumer = divided("all");
    assert!(!end_lease(&mut bus, key("all")).unwrap());
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 100);
    assert!(
        !end_lease(&mut bus, key("all")).unwrap(),
        "all are released"
    );
    let leases = [1, 3].map(|number| take(&mut bus, "all", number));
    assert!(end_lease(&mut bus, key("all")).unwrap());
    for lease in &leases {
        let lost = bus.renew(lease, Duration::from_secs(1)).unwrap_err();
        assert!(lost.is_lease_lost(), "{lost}");
    }
    place(&mut bus, 100..140);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 40);
    assert!(
        !end_lease(&mut bus, key("all")).unwrap(),
        "all are released"
    );
}
