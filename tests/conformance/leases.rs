use persisting_message_bus::operate::ConsumerKey;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use persisting_message_bus::backend::{
    CursorUpdate, Lease, LeaseRequest, MessageConsumerState, MessageSource,
};
use persisting_message_bus::{
    Error, FailurePolicy, Message, MessageConsumer, MessageDispatcher, Position, RetryPolicy,
};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::topics::{OrderPlaced, Orders, Tripwire, Tripwires};

use super::failing::after;
use super::{consume, ignore, orders};

const HOUR: Duration = Duration::from_secs(3_600);

fn request<'a>(owner: &'a str, duration: Duration) -> LeaseRequest<'a> {
    LeaseRequest {
        consumer: "all",
        topic: "orders",
        owner,
        duration,
    }
}

pub fn acquire(bus: &mut impl MessageConsumerState, owner: &str) -> Result<Lease, Error> {
    bus.acquire(&request(owner, HOUR))
}

/// Acquires a lease whose holder has a lease duration of zero.
pub fn steal(bus: &mut impl MessageConsumerState, consumer: &str, topic: &str) {
    let request = LeaseRequest {
        consumer,
        topic,
        owner: "thief",
        duration: HOUR,
    };
    bus.acquire(&request).unwrap();
}

fn moved_to(position: i64, extend_lease: Option<Duration>) -> CursorUpdate {
    CursorUpdate {
        cursor: Some(Position::new(position)),
        extend_lease,
    }
}

fn cursor(bus: &mut impl MessageConsumerState) -> Option<i64> {
    let status = bus
        .stored_consumer(ConsumerKey {
            consumer: "all",
            topic: "orders",
        })
        .unwrap()
        .unwrap();
    status.cursor.map(Position::get)
}

pub fn pages_of_a_backlog_are_handled_under_one_lease<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let batch = (0..10).map(OrderPlaced::number);
    orders().dispatch_batch(&mut bus, batch).unwrap();
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
        let stored = bus
            .stored_consumer(ConsumerKey {
                consumer,
                topic: "orders",
            })
            .unwrap()
            .unwrap();
        assert_eq!((stored.lease_epoch, stored.lease_owner), (1, None));
        let last = bus.last_position().unwrap();
        assert_eq!(stored.cursor, Some(last));
    }
}

pub fn the_lease_is_released_when_a_page_exceeds_the_time_slice<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let batch = (0..3).map(OrderPlaced::number);
    orders().dispatch_batch(&mut bus, batch).unwrap();
    let mut consumer =
        MessageConsumer::transactional("slow", |_: &mut D::Bus, _: &Message<Orders>| Ok(()))
            .page_size(1)
            .time_slice(Duration::ZERO);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 3);
    let stored = bus
        .stored_consumer(ConsumerKey {
            consumer: "slow",
            topic: "orders",
        })
        .unwrap()
        .unwrap();
    assert_eq!((stored.lease_epoch, stored.lease_owner), (3, None));
}

pub fn a_lease_lost_between_two_pages_stores_nothing_more<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let batch = (0..6).map(OrderPlaced::number);
    orders().dispatch_batch(&mut bus, batch).unwrap();
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
    while let Err(error) = acquire(&mut bus, "other") {
        assert!(error.is_lease_held(), "{error:?}");
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "the lease does not expire within 30 s"
        );
        thread::yield_now();
    }
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
    let status = bus
        .stored_consumer(ConsumerKey {
            consumer: "all",
            topic: "tripwires",
        })
        .unwrap()
        .unwrap();
    assert_eq!(status.cursor, None);
    assert_eq!(status.lease_owner.as_deref(), Some("thief"));
}

pub fn a_slow_page_renews_the_lease_and_stores_its_progress<D: Database>() {
    let database = D::create();
    let (mut bus, mut other) = (database.connect(), database.connect());
    let batch = (0..4).map(OrderPlaced::number);
    orders().dispatch_batch(&mut bus, batch).unwrap();
    let mut handled = 0;
    let mut consumer = MessageConsumer::<Orders>::external("all", |_: &Message<Orders>| {
        // From the second message on, the handler finds the progress before it stored.
        if handled > 0 {
            assert_eq!(cursor(&mut other), Some(handled));
        }
        handled += 1;
        thread::sleep(Duration::from_millis(40));
        Ok(())
    })
    .lease_duration(Duration::from_millis(100));
    assert_eq!(consumer.handle_page(&mut bus).unwrap(), 4);
}

pub fn a_failing_page_releases_the_lease_when_the_backoff_is_zero<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    orders()
        .dispatch(&mut bus, &OrderPlaced::number(1))
        .unwrap();
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
    let database = D::create();
    let mut bus = database.connect();
    orders()
        .dispatch(&mut bus, &OrderPlaced::number(1))
        .unwrap();
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
