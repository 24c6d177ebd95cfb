use std::time::Duration;

use persisting_message_bus::backend::{LeaseRequest, MessageConsumerState};
use persisting_message_bus::operate::{ConsumerKey, FailedMessagesRequest, MessageFailures};
use persisting_message_bus::{Inbox, InboxKey, Position, StartAt};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::topics::{Ledger, Orders};

use crate::helpers::{
    ALL, Handled, assert_broken, ignoring, parking, place, positions, publish_one_of_each,
    recording, run,
};

pub fn a_new_consumer_starts_at_the_end<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    place(&mut bus, 1..=3);
    let seen = Handled::default();
    let hook = || Err("the hook belongs to the start".into());
    let mut consumer = recording::<Orders>("all", &seen)
        .start_at(StartAt::End)
        .before_replay(hook);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 0);
    place(&mut bus, 4..=5);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 2);
    assert_eq!(positions(&seen), [4, 5]);
}

pub fn a_new_consumer_starts_at_a_position_or_a_time<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    place(&mut bus, 1..=3);
    let seen = Handled::default();
    let at = StartAt::Position(Position::new(2));
    let mut consumer = recording::<Orders>("from-position", &seen).start_at(at);
    assert_eq!(consumer.handle_page(&mut bus).unwrap(), 1);
    assert_eq!(positions(&seen), [3]);
    let at = StartAt::Time(chrono::DateTime::UNIX_EPOCH);
    let mut consumer = recording::<Orders>("from-time", &seen).start_at(at);
    assert_eq!(consumer.handle_page(&mut bus).unwrap(), 3);
    let at = StartAt::Position(Position::new(4));
    let mut consumer = ignoring::<Orders>("too-late").start_at(at);
    assert_broken(consumer.handle_page(&mut bus));
}

pub fn messages_after_the_first_poll_of_an_empty_topic_are_handled<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let seen = Handled::default();
    let mut consumer = recording::<Ledger>("all", &seen).start_at(StartAt::End);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 0);
    publish_one_of_each(&mut bus);
    // Another process of the same program.
    let mut consumer = recording::<Ledger>("all", &seen).start_at(StartAt::End);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 2);
}

pub fn a_consumer_that_has_run_does_not_start_again<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    place(&mut bus, 1..=3);
    assert_eq!(
        ignoring::<Orders>("all")
            .page_size(1)
            .handle_page(&mut bus)
            .unwrap(),
        1
    );
    let mut consumer = ignoring::<Orders>("all").start_at(StartAt::End);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 2);
    consumer.reset(&mut bus, StartAt::Start).unwrap();
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 3);
}

pub fn a_renamed_consumer_continues<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    place(&mut bus, 1..=3);
    let mut consumer = parking::<Orders, _>("old", |message| message.position().get() == 2);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 2);
    let once = |bus: &mut D::Bus, consumer: &str| {
        let inbox = Inbox::new(InboxKey {
            consumer,
            source: "hooks",
        })
        .unwrap();
        inbox
            .process_once(bus, "evt_1", |_| Ok::<_, persisting_message_bus::Error>(()))
            .unwrap()
    };
    assert!(once(&mut bus, "old").is_some());
    assert!(bus.rename("old", "new").unwrap());
    assert!(!bus.rename("old", "newer").unwrap());
    assert_eq!(run::<Orders>(&mut bus, "new").unwrap(), 0);
    let key = |consumer| ConsumerKey { consumer, ..ALL };
    let parked = FailedMessagesRequest::of_parked(key("new"));
    assert_eq!(bus.failed_messages(&parked).unwrap().len(), 1);
    assert_eq!(bus.stored_consumer(key("old")).unwrap(), None);
    assert!(once(&mut bus, "new").is_none());
}

pub fn a_consumer_at_work_or_an_existing_name_is_not_renamed<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    place(&mut bus, 1..=3);
    for name in ["one", "other"] {
        run::<Orders>(&mut bus, name).unwrap();
    }
    let error = bus.rename("one", "other").unwrap_err();
    assert!(
        format!("{error:#}").contains("\"other\" exists"),
        "{error:#}"
    );
    let lease = bus.acquire(&LeaseRequest {
        consumer: "one",
        topic: "orders",
        segment: None,
        owner: "another process",
        duration: Duration::from_secs(60),
        identity: Default::default(),
        hands_out: false,
    });
    assert!(bus.rename("one", "two").unwrap_err().is_lease_held());
    bus.release(&lease.unwrap()).unwrap();
    assert!(bus.rename("one", "two").unwrap());
    assert!(bus.rename("two", "").unwrap_err().is_invalid_name());
    assert!(bus.rename("two", "two").is_err());
}
