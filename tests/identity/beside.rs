//! An older program beside a newer one: what it leaves to it.

use std::time::Duration;

use persisting_message_bus::backend::{
    ConsumerIdentity, LeaseRequest, MessageConsumerState, NoteWork, TransactionControl, Work,
};
use persisting_message_bus::operate::{
    ConsumerCondition, ConsumerKey, ConsumerStatus, stop_wanting,
};
use persisting_message_bus::{MessageConsumer, MessageDispatcher, Position};
use persisting_message_bus_tests::databases::{Database, Server};
use persisting_message_bus_tests::topics::{
    Closed, Ledger, OrderCancelled, Orders, Paid, Payments,
};

use crate::{ignoring, older, publish_one_of_each};

fn key<'a>(consumer: &'a str, topic: &'a str) -> ConsumerKey<'a> {
    ConsumerKey { consumer, topic }
}

fn request(key: ConsumerKey<'_>, duration: Duration) -> LeaseRequest<'_> {
    LeaseRequest {
        consumer: key.consumer,
        topic: key.topic,
        segment: None,
        owner: "another process",
        duration,
        identity: ConsumerIdentity::default(),
        hands_out: false,
    }
}

/// A process died before the first message, which only the newer program knows.
pub fn an_older_program_leaves_what_a_dead_process_was_handling<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    publish_one_of_each(&mut bus);
    let mut first = ignoring::<Orders>("all").page_size(1);
    assert_eq!(first.handle_page(&mut bus).unwrap(), 1);
    let dead = bus.acquire(&request(key("all", "orders"), Duration::ZERO));
    let left = Work::PAGE.alone(true);
    let note = NoteWork {
        work: Some(left),
        suspect_until: None,
        extend_lease: Duration::ZERO,
    };
    bus.note_work(&dead.unwrap(), &note).unwrap();

    let mut older = ignoring::<older::Orders>("all");
    let error = older.handle_new_messages(&mut bus).unwrap_err();
    assert!(error.is_unknown_message(), "{error:#}");
    let row = bus.stored_consumer(key("all", "orders")).unwrap().unwrap();
    assert_eq!(row.work, Some(left));
    assert!(row.lease_expires_at <= Some(row.now), "it keeps the lease");
    // The newer program counts the death as an attempt of that message.
    let error = ignoring::<Orders>("all")
        .handle_new_messages(&mut bus)
        .unwrap_err();
    assert_eq!(
        (error.attempts(), error.position()),
        (Some(1), Some(Position::new(2)))
    );
}

pub fn the_status_shows_the_topic_that_only_the_newer_program_reads<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    publish_one_of_each(&mut bus);
    let payments = MessageDispatcher::<Payments>::new();
    payments.dispatch(&mut bus, &Paid { order: 1 }).unwrap();
    assert_eq!(
        ignoring::<Ledger>("ledger")
            .handle_new_messages(&mut bus)
            .unwrap(),
        3
    );
    payments.dispatch(&mut bus, &Paid { order: 2 }).unwrap();
    let mut older: MessageConsumer<Closed, _> = ignoring("ledger");
    for _ in 0..2 {
        let error = older.handle_new_messages(&mut bus).unwrap_err();
        assert!(error.is_unknown_message(), "{error:#}");
    }
    let status = ConsumerStatus::read(&mut bus, key("ledger", "payments")).unwrap();
    assert_eq!(status.condition, ConsumerCondition::UnknownType);
    assert_eq!(status.lease_owner, None);
    let row = bus.stored_consumer(key("ledger", "payments")).unwrap();
    // The newer program and the older one have taken it once each.
    assert_eq!(row.unwrap().lease_epoch, 2);
}

/// The messages that are visible count, although the publisher of another one is still open.
pub fn an_older_program_waits_although_a_publisher_is_open<D: Server>() {
    let database = D::create();
    let (mut bus, mut open) = (database.connect(), database.connect());
    publish_one_of_each(&mut bus);
    ignoring::<Ledger>("ledger")
        .handle_new_messages(&mut bus)
        .unwrap();
    let payments = MessageDispatcher::<Payments>::new();
    open.begin().unwrap();
    payments.dispatch(&mut open, &Paid { order: 1 }).unwrap();
    payments.dispatch(&mut bus, &Paid { order: 2 }).unwrap();
    let cancelled = OrderCancelled {
        order: 3,
        reason: None,
    };
    MessageDispatcher::<Orders>::new()
        .dispatch(&mut bus, &cancelled)
        .unwrap();
    let mut older: MessageConsumer<Closed, _> = ignoring("ledger");
    let error = older.handle_new_messages(&mut bus).unwrap_err();
    assert!(error.is_unknown_message(), "{error:#}");
    assert_eq!(error.topic(), Some("payments"));
    open.commit().unwrap();
    let mut newer: MessageConsumer<Ledger, _> = ignoring("ledger");
    assert_eq!(newer.handle_new_messages(&mut bus).unwrap(), 3);
}

/// An operator changes the event set while a consumer holds the lease.
pub fn an_event_set_that_was_replaced_is_not_stored_again<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    publish_one_of_each(&mut bus);
    ignoring::<Closed>("mailer")
        .handle_new_messages(&mut bus)
        .unwrap();
    let mailer = key("mailer", "orders");
    let lease = bus
        .acquire(&request(mailer, Duration::from_secs(60)))
        .unwrap();
    assert!(stop_wanting(&mut bus, mailer, "Cancelled").unwrap());
    let before = lease.identity.event_set.clone();
    let identity = ConsumerIdentity {
        event_set: before.as_deref(),
        source: None,
    };
    let error = bus.identify(&lease, identity).unwrap_err();
    assert!(error.is_lease_lost(), "{error:#}");
    let row = bus.stored_consumer(mailer).unwrap().unwrap();
    assert_ne!(row.identity.event_set, before);
}

pub fn a_whole_topic_can_be_narrowed_to_an_event_set<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    publish_one_of_each(&mut bus);
    ignoring::<Orders>("all")
        .handle_new_messages(&mut bus)
        .unwrap();
    publish_one_of_each(&mut bus);
    let mut narrow = ignoring::<Closed>("all");
    let error = narrow.handle_new_messages(&mut bus).unwrap_err();
    assert!(error.is_unknown_message(), "{error:#}");
    assert!(
        error
            .hint()
            .is_some_and(|hint| hint.contains("narrow_event_set"))
    );
    narrow.narrow_event_set(&mut bus).unwrap();
    assert_eq!(narrow.handle_new_messages(&mut bus).unwrap(), 2);
    // A program that reads another type cannot narrow it away.
    let mut other = ignoring::<older::Orders>("all");
    let error = other.narrow_event_set(&mut bus).unwrap_err();
    assert!(error.is_event_set_conflict(), "{error:#}");
}
