//! The protocol of leases: acquire, expire, renew, release.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use persisting_message_bus::backend::{CursorUpdate, LeaseRequest, MessageConsumerState, Place};
use persisting_message_bus::{MessageConsumer, Position};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};
use persisting_message_bus_tests::waiting::wait_for;

use super::{HOUR, acquire, cursor, request};
use crate::{ignore, orders};

fn moved_to(position: i64, extend_lease: Option<Duration>) -> CursorUpdate {
    CursorUpdate {
        place: Place::unanchored(Some(Position::new(position))),
        extend_lease,
    }
}

pub fn a_second_holder_is_locked_out<D: Database>() {
    let database = D::create();
    let (mut one, mut other) = (database.connect(), database.connect());
    acquire(&mut one, "one").unwrap();
    let error = acquire(&mut other, "other").unwrap_err();
    assert!(error.is_lease_held() && error.is_retryable());
    let text = error.to_string();
    for part in ["\"all\"", "\"orders\"", "held by owner one", "expires at 2"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    orders()
        .dispatch(&mut other, &OrderPlaced::number(1))
        .unwrap();
    let mut consumer = MessageConsumer::<Orders>::external("all", ignore);
    assert!(
        consumer
            .handle_page(&mut other)
            .unwrap_err()
            .is_lease_held()
    );
}

pub fn another_name_or_topic_is_not_locked<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    acquire(&mut bus, "one").unwrap();
    for (consumer, topic) in [("All", "orders"), ("all", "Orders"), ("al", "lorders")] {
        let request = LeaseRequest {
            consumer,
            topic,
            ..request("other", HOUR)
        };
        bus.acquire(&request).unwrap();
    }
}

pub fn a_released_lease_can_be_acquired_at_once<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let first = acquire(&mut bus, "one").unwrap();
    assert_eq!((first.epoch, first.cursor), (1, None));
    bus.release(&first).unwrap();
    let second = acquire(&mut bus, "other").unwrap();
    assert_eq!(second.epoch, 2);
    bus.store_cursor(&second, &moved_to(5, None)).unwrap();
    let third = acquire(&mut bus, "one").unwrap();
    assert_eq!((third.epoch, third.cursor), (3, Some(Position::new(5))));
}

pub fn an_expired_lease_is_taken_over<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    bus.acquire(&request("one", Duration::ZERO)).unwrap();
    let lease = acquire(&mut bus, "other").unwrap();
    assert_eq!(lease.epoch, 2);
    assert!(acquire(&mut bus, "one").unwrap_err().is_lease_held());
}

pub fn a_lease_expires_by_itself<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let begun = Instant::now();
    let duration = Duration::from_millis(300);
    bus.acquire(&request("one", duration)).unwrap();
    wait_for("the lease expires", || {
        acquire(&mut bus, "other").inspect_err(|error| assert!(error.is_lease_held(), "{error:?}"))
    });
    // Half of the duration allows for clocks with a resolution of milliseconds that are adjusted
    // during the test.
    assert!(begun.elapsed() > duration / 2, "the lease expired early");
}

pub fn a_stored_cursor_renews_the_lease<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let lease = bus.acquire(&request("one", Duration::ZERO)).unwrap();
    bus.store_cursor(&lease, &moved_to(1, Some(HOUR))).unwrap();
    assert!(acquire(&mut bus, "other").unwrap_err().is_lease_held());
}

pub fn a_renewed_lease_lasts_longer_and_keeps_the_cursor<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let lease = bus.acquire(&request("one", Duration::ZERO)).unwrap();
    bus.store_cursor(&lease, &moved_to(4, Some(Duration::ZERO)))
        .unwrap();
    bus.renew(&lease, HOUR).unwrap();
    assert!(acquire(&mut bus, "other").unwrap_err().is_lease_held());
    assert_eq!(cursor(&mut bus), Some(4));
    bus.store_cursor(&lease, &moved_to(5, None)).unwrap();
    let error = bus.renew(&lease, HOUR).unwrap_err();
    assert!(error.is_lease_lost(), "the lease was released: {error:?}");
}

pub fn a_late_holder_renews_nothing<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let late = bus.acquire(&request("one", Duration::ZERO)).unwrap();
    bus.acquire(&request("other", Duration::ZERO)).unwrap();
    let error = bus.renew(&late, HOUR).unwrap_err();
    assert!(error.is_lease_lost(), "{error:?}");
    acquire(&mut bus, "third").unwrap();
}

pub fn a_late_holder_stores_nothing<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let late = bus.acquire(&request("one", Duration::ZERO)).unwrap();
    let current = acquire(&mut bus, "other").unwrap();
    bus.store_cursor(&current, &moved_to(7, Some(HOUR)))
        .unwrap();
    for extend_lease in [None, Some(HOUR)] {
        let error = bus
            .store_cursor(&late, &moved_to(3, extend_lease))
            .unwrap_err();
        assert!(error.is_lease_lost(), "{error:?}");
    }
    assert_eq!(cursor(&mut bus), Some(7));
    bus.store_cursor(&current, &moved_to(8, None)).unwrap();
}

pub fn a_released_lease_stores_nothing<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let lease = acquire(&mut bus, "one").unwrap();
    bus.release(&lease).unwrap();
    let error = bus.store_cursor(&lease, &moved_to(3, None)).unwrap_err();
    assert!(error.is_lease_lost(), "{error:?}");
    assert_eq!(cursor(&mut bus), None);
}

pub fn a_late_holder_cannot_release_the_new_lease<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let late = bus.acquire(&request("one", Duration::ZERO)).unwrap();
    acquire(&mut bus, "other").unwrap();
    bus.release(&late).unwrap();
    assert!(acquire(&mut bus, "third").unwrap_err().is_lease_held());
}

pub fn an_earlier_lease_of_the_same_owner_is_fenced_too<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let earlier = acquire(&mut bus, "one").unwrap();
    acquire(&mut bus, "one").unwrap();
    let error = bus.store_cursor(&earlier, &moved_to(1, None)).unwrap_err();
    assert!(error.is_lease_lost());
}

pub fn one_of_many_threads_acquires_the_lease<D: Database>() {
    let database = D::create();
    let start = Barrier::new(8);
    let holders: usize = thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|index| {
                let (database, start) = (&database, &start);
                scope.spawn(move || {
                    let mut bus = database.connect();
                    start.wait();
                    acquire(&mut bus, &format!("thread {index}")).is_ok()
                })
            })
            .collect();
        let held = threads.into_iter().map(|thread| thread.join().unwrap());
        held.filter(|held| *held).count()
    });
    assert_eq!(holders, 1);
}
