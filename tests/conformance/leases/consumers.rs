//! The time for which a consumer holds its lease, and a consumer that loses it.

use std::thread;
use std::time::Duration;

use persisting_message_bus::backend::MessageSource;
use persisting_message_bus::operate::ConsumerKey;
use persisting_message_bus::{
    FailurePolicy, Message, MessageConsumer, MessageDispatcher, RetryPolicy,
};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::topics::{Orders, Tripwire, Tripwires};

use super::{cursor, steal};
use crate::failing::{after, place};
use crate::{consume, ignore, stored_consumer};

pub fn pages_of_a_backlog_are_handled_under_one_lease<D: Database>() {
    let (_database, mut bus) = place::<D>(0..10);
    let mut handled = Vec::new();
    let mut consumer = MessageConsumer::<Orders>::external("all", |message: &Message<Orders>| {
        handled.push(message.payload().order());
        Ok(())
    })
    .page_size(3)
    .time_slice(Duration::MAX);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 10);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 0);
    drop(consumer);
    assert_eq!(handled, Vec::from_iter(0..10));
    let mut pages = Vec::new();
    let mut consumer = MessageConsumer::<Orders>::transactional_pages(
        "pages",
        |_: &mut D::Bus, messages: &[Message<Orders>]| {
            pages.push(messages.len());
            Ok(())
        },
    )
    .page_size(4)
    .time_slice(Duration::MAX);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 10);
    drop(consumer);
    assert_eq!(pages, [4, 4, 2]);
    for consumer in ["all", "pages"] {
        let stored = stored_consumer(&mut bus, ConsumerKey::on::<Orders>(consumer));
        assert_eq!((stored.lease_epoch, stored.lease_owner), (1, None));
        let last = bus.last_position().unwrap();
        assert_eq!(stored.cursor, Some(last));
    }
}

pub fn the_lease_is_released_when_a_page_exceeds_the_time_slice<D: Database>() {
    let (_database, mut bus) = place::<D>(0..3);
    let mut consumer =
        MessageConsumer::transactional("slow", |_: &mut D::Bus, _: &Message<Orders>| Ok(()))
            .page_size(1)
            .time_slice(Duration::ZERO);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 3);
    let stored = stored_consumer(&mut bus, ConsumerKey::on::<Orders>("slow"));
    assert_eq!((stored.lease_epoch, stored.lease_owner), (3, None));
}

pub fn a_lease_lost_between_two_pages_stores_nothing_more<D: Database>() {
    let (database, mut bus) = place::<D>(0..6);
    let mut other = database.connect();
    let mut handled = 0;
    let mut consumer = MessageConsumer::<Orders>::external("all", |_: &Message<Orders>| {
        handled += 1;
        if handled == 3 {
            steal(&mut other, "all", "orders");
        }
        Ok(())
    })
    .page_size(2)
    .lease_duration(Duration::ZERO);
    let error = consumer.handle_new_messages(&mut bus).unwrap_err();
    assert!(error.is_lease_lost(), "{error:?}");
    drop(consumer);
    assert_eq!(handled, 3);
    assert_eq!(cursor(&mut bus), Some(2));
}

pub fn a_consumer_that_loses_its_lease_fails_and_stores_nothing<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let tripwires = MessageDispatcher::<Tripwires>::new();
    tripwires.dispatch(&mut bus, &Tripwire {}).unwrap();
    let mut other = database.connect();
    let mut consumer = MessageConsumer::<Tripwires>::external("all", |_: &Message<Tripwires>| {
        steal(&mut other, "all", "tripwires");
        Ok(())
    })
    .lease_duration(Duration::ZERO);
    let error = consumer.handle_page(&mut bus).unwrap_err();
    assert!(error.is_lease_lost(), "{error:?}");
    let status = stored_consumer(&mut bus, ConsumerKey::on::<Tripwires>("all"));
    assert_eq!(status.cursor, None);
    assert_eq!(status.lease_owner.as_deref(), Some("thief"));
}

pub fn a_slow_page_renews_the_lease_and_stores_its_progress<D: Database>() {
    let (database, mut bus) = place::<D>(0..4);
    let mut other = database.connect();
    let mut handled = 0;
    let mut consumer = MessageConsumer::<Orders>::external("all", |_: &Message<Orders>| {
        // From the second message on, the handler finds the progress before it stored.
        if handled > 0 {
            assert_eq!(cursor(&mut other), Some(handled));
        }
        handled += 1;
        // More than a third of the lease duration, after which the progress is stored.
        thread::sleep(Duration::from_millis(40));
        Ok(())
    })
    .lease_duration(Duration::from_millis(100));
    assert_eq!(consumer.handle_page(&mut bus).unwrap(), 4);
}

pub fn a_failing_page_releases_the_lease_when_the_backoff_is_zero<D: Database>() {
    let (_database, mut bus) = place::<D>(1..2);
    let mut external =
        MessageConsumer::<Orders>::external("all", |_: &Message<Orders>| Err("no".into()))
            .retry(after(8, FailurePolicy::Stop));
    external.handle_page(&mut bus).unwrap_err();
    let mut transactional =
        MessageConsumer::<Orders>::transactional("all", |_: &mut D::Bus, _: &Message<Orders>| {
            Err("no".into())
        })
        .retry(after(2, FailurePolicy::Stop));
    transactional.handle_page(&mut bus).unwrap_err();
    assert_eq!(consume(&mut bus, "all"), [1]);
}

pub fn the_lease_is_held_during_the_backoff<D: Database>() {
    let (_database, mut bus) = place::<D>(1..2);
    let week = Duration::from_secs(7 * 24 * 3_600);
    let slow = RetryPolicy::default().initial_delay(week).max_delay(week);
    let mut failing =
        MessageConsumer::<Orders>::external("all", |_: &Message<Orders>| Err("no".into()))
            .retry(slow);
    let mut other = MessageConsumer::<Orders>::external("all", ignore::<Message<Orders>>);
    for attempt in 1..3 {
        let error = failing.handle_page(&mut bus).unwrap_err();
        assert_eq!(error.attempts(), Some(attempt));
        let error = other.handle_page(&mut bus).unwrap_err();
        assert!(error.is_lease_held(), "{error:?}");
    }
}
