//! Leases that an operator ends.

use std::time::Duration;

use persisting_message_bus::backend::{
    CursorUpdate, LeaseRequest, MessageConsumerState, MessageSource, NoteWork, Place, Work,
};
use persisting_message_bus::operate::{ConsumerKey, ConsumerStatus, end_lease};
use persisting_message_bus::{Message, MessageConsumer};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};

use super::{HOUR, acquire, request};
use crate::{CONSUMER, ignore, orders, stored_consumer};

const KEY: ConsumerKey<'static> = ConsumerKey {
    consumer: "all",
    topic: "orders",
};

/// The duration of a lease whose end was written by a wrong clock.
const DECADES: Duration = Duration::from_secs(54 * 365 * 24 * 3_600);

pub fn a_lease_in_the_far_future_can_be_ended<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    orders()
        .dispatch(&mut bus, &OrderPlaced::number(1))
        .unwrap();
    bus.acquire(&request("dead", DECADES)).unwrap();
    let mut consumer = MessageConsumer::<Orders>::external("all", ignore);
    let locked_out = consumer.handle_page(&mut bus).unwrap_err();
    let refused = acquire(&mut bus, "other").unwrap_err();
    for error in [locked_out, refused] {
        assert!(error.is_lease_held(), "{error:?}");
        for part in ["unusually late", "operate::end_lease"] {
            assert!(error.to_string().contains(part), "{error}");
        }
    }
    let problem = ConsumerStatus::read(&mut bus, KEY).unwrap().lease_problem;
    let problem = problem.expect("a problem");
    assert!(problem.contains("operate::end_lease"), "{problem}");

    assert!(end_lease(&mut bus, KEY).unwrap());
    assert_eq!(
        ConsumerStatus::read(&mut bus, KEY).unwrap().lease_problem,
        None
    );
    assert_eq!(consumer.handle_page(&mut bus).unwrap(), 1);
}

pub fn a_lease_of_usual_length_is_not_unusually_late<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    bus.acquire(&request("one", HOUR)).unwrap();
    let status = ConsumerStatus::read(&mut bus, KEY).unwrap();
    assert_eq!(status.lease_problem, None);
    let error = acquire(&mut bus, "other").unwrap_err();
    assert!(!error.to_string().contains("end_lease"), "{error}");
    // A holder with the same long lease duration could have written that end.
    let day = 24 * HOUR;
    bus.acquire(&request("one", day)).unwrap();
    let error = bus.acquire(&request("other", day)).unwrap_err();
    assert!(!error.to_string().contains("end_lease"), "{error}");
}

pub fn an_ended_lease_fences_its_holder<D: Database>() {
    let database = D::create();
    let (mut one, mut operator) = (database.connect(), database.connect());
    let lease = acquire(&mut one, "one").unwrap();
    assert!(end_lease(&mut operator, KEY).unwrap());
    let note = NoteWork {
        work: Some(Work::PAGE),
        suspect_until: None,
        extend_lease: HOUR,
    };
    let store = CursorUpdate {
        place: Place::BEFORE_ALL,
        extend_lease: Some(HOUR),
    };
    for lost in [
        one.renew(&lease, HOUR),
        one.note_work(&lease, &note),
        one.store_cursor(&lease, &store),
    ] {
        assert!(lost.unwrap_err().is_lease_lost());
    }
    let other = acquire(&mut operator, "other").unwrap();
    assert_eq!((other.epoch, other.cursor), (lease.epoch + 2, None));
    one.release(&lease).unwrap();
    operator.renew(&other, HOUR).unwrap();
}

pub fn the_work_of_an_ended_lease_is_suspect<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let lease = bus.acquire(&request("dead", DECADES)).unwrap();
    let note = NoteWork {
        work: Some(Work::PAGE),
        suspect_until: None,
        extend_lease: DECADES,
    };
    bus.note_work(&lease, &note).unwrap();
    assert!(end_lease(&mut bus, KEY).unwrap());
    assert_eq!(acquire(&mut bus, "other").unwrap().left, Some(Work::PAGE));
}

/// A holder that hands out a page notes it when it takes the lease, and sees what others have left there.
pub fn a_page_that_is_noted_with_the_lease_is_suspect_after_its_holder<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let mut take = |owner, hands_out, duration| {
        let request = LeaseRequest {
            hands_out,
            ..request(owner, duration)
        };
        let lease = bus.acquire(&request).unwrap();
        (lease.left, stored_consumer(&mut bus, CONSUMER).work, lease)
    };
    let page = Some(Work::PAGE);
    // The row is inserted, and then updated. The own work of an owner is of no interest.
    for _attempt in 0..2 {
        let (left, noted, _) = take("one", true, Duration::ZERO);
        assert_eq!((left, noted), (None, page));
    }
    // What "one" has left stays, also for those who meant to settle it.
    for owner in ["two", "three", "four"] {
        let (left, noted, _) = take(owner, owner != "three", Duration::ZERO);
        assert_eq!((left, noted), (page, page), "{owner}");
    }
    // An owner that comes back has settled it, and a release too.
    let (left, noted, _) = take("four", false, Duration::ZERO);
    assert_eq!((left, noted), (None, None));
    let (left, noted, lease) = take("five", true, HOUR);
    assert_eq!((left, noted), (None, page));
    bus.release(&lease).unwrap();
    assert_eq!(stored_consumer(&mut bus, CONSUMER).work, None);
    assert_eq!(acquire(&mut bus, "six").unwrap().left, None);
}

/// Otherwise, its messages would be suspect again after the cursor was moved back for an added type.
pub fn a_suspicion_that_is_over_is_forgotten<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    orders()
        .dispatch(&mut bus, &OrderPlaced::number(1))
        .unwrap();
    let first = bus.current_head("orders").unwrap();
    let lease = acquire(&mut bus, "dead").unwrap();
    let note = NoteWork {
        work: Some(Work::PAGE),
        suspect_until: Some(first),
        extend_lease: Duration::ZERO,
    };
    bus.note_work(&lease, &note).unwrap();
    let mut consumer = MessageConsumer::<Orders>::external("all", ignore);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 1);
    orders()
        .dispatch(&mut bus, &OrderPlaced::number(2))
        .unwrap();
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 1);
    assert_eq!(stored_consumer(&mut bus, CONSUMER).suspect_until, None);
}

pub fn a_lease_without_a_holder_is_not_ended<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    assert!(!end_lease(&mut bus, KEY).unwrap(), "it never ran");
    let lease = acquire(&mut bus, "one").unwrap();
    let elsewhere = LeaseRequest {
        topic: "payments",
        ..request("one", HOUR)
    };
    let elsewhere = bus.acquire(&elsewhere).unwrap();
    bus.release(&lease).unwrap();
    assert!(!end_lease(&mut bus, KEY).unwrap(), "it was released");
    bus.renew(&elsewhere, HOUR).unwrap();
    assert_eq!(acquire(&mut bus, "one").unwrap().epoch, lease.epoch + 1);
}

pub fn a_holder_at_work_notices_that_its_lease_was_ended<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    orders()
        .dispatch_batch(&mut bus, (1..=3).map(OrderPlaced::number))
        .unwrap();
    let mut operator = database.connect();
    let mut is_first = true;
    let handler = |_: &Message<Orders>| {
        if std::mem::take(&mut is_first) {
            assert!(end_lease(&mut operator, KEY)?);
        }
        Ok(())
    };
    let mut holder = MessageConsumer::<Orders>::external("all", handler);
    let error = holder.handle_page(&mut bus).unwrap_err();
    assert!(error.is_lease_lost(), "{error:?}");
    drop(holder);
    let mut seen = Vec::new();
    let mut next = MessageConsumer::<Orders>::external("all", |message: &Message<Orders>| {
        seen.push(message.payload().order());
        Ok(())
    });
    next.handle_new_messages(&mut bus).unwrap();
    drop(next);
    assert_eq!(seen, [1, 2, 3]);
}
