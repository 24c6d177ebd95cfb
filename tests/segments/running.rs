//! Many threads, and several runners as processes.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use persisting_message_bus::backend::{
    Anchor, CursorUpdate, LeaseRequest, MessageConsumerState, MessageSource, Place,
};
use persisting_message_bus::operate::RunHandle;
use persisting_message_bus::{
    Message, MessageConsumer, ParallelConsumer, Position, RetryPolicy, Runner,
};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::waiting::wait_until;
use uuid::Uuid;

use super::handling::{Handled, MESSAGES, note, numbers, place};
use super::topic::Orders;
use super::traces::take;
use super::{LEASE, connector, key};

const STOP: Duration = Duration::from_secs(30);

/// Starts a runner with a consumer of many threads, which calls this for each message.
fn start<B>(
    connect: impl Fn() -> B + Send + Sync + 'static,
    threads: usize,
    handle: impl Fn(&Message<Orders>) -> Result<(), persisting_message_bus::handler::HandlerError>
    + Clone
    + Send
    + Sync
    + 'static,
) -> RunHandle
where
    B: persisting_message_bus::backend::MessageSource
        + persisting_message_bus::backend::MessageConsumerState
        + Send
        + 'static,
{
    let make = move || {
        MessageConsumer::<Orders>::external("all", handle.clone())
            .lease_duration(LEASE)
            .time_slice(Duration::from_millis(20))
            .retry(
                RetryPolicy::default()
                    .initial_delay(Duration::ZERO)
                    .max_attempts(2),
            )
    };
    Runner::new(move || Ok::<_, io::Error>(connect()))
        .idle_interval(Duration::from_millis(50))
        .parallel(
            ParallelConsumer::unordered(make)
                .segments(16)
                .threads(threads),
        )
        .start()
}

fn has_ended_well(running: RunHandle) {
    let exits = running.stop_within(STOP).unwrap();
    assert!(exits.iter().all(|exit| exit.error.is_none()), "{exits:?}");
}

pub fn threads_share_the_segments<D: Database + Send + 'static>() {
    let (database, connect) = connector::<D>();
    place(&mut database.connect(), 0..MESSAGES);
    let handled = Handled::default();
    let threads: Arc<std::sync::Mutex<BTreeSet<String>>> = Arc::default();
    let (noted, seen) = (Arc::clone(&handled), Arc::clone(&threads));
    let running = start(connect, 4, move |message| {
        note(&noted, message);
        seen.lock()
            .unwrap()
            .insert(format!("{:?}", thread::current().id()));
        thread::sleep(Duration::from_millis(2));
        Ok(())
    });
    running.caught_up_within(Duration::from_secs(60)).unwrap();
    has_ended_well(running);
    assert_eq!(numbers(&handled), Vec::from_iter(0..MESSAGES));
    assert_eq!(threads.lock().unwrap().len(), 4);
}

pub fn new_messages_are_handled_when_all_threads_are_idle<D: Database + Send + 'static>() {
    let (database, connect) = connector::<D>();
    let handled = Handled::default();
    let noted = Arc::clone(&handled);
    let running = start(connect, 3, move |message| {
        note(&noted, message);
        Ok(())
    });
    running.caught_up_within(Duration::from_secs(60)).unwrap();
    for number in 0..5 {
        place(&mut database.connect(), number..number + 1);
        // The runner is not woken.
        wait_until("the message is handled", || {
            numbers(&handled).contains(&number)
        });
    }
    has_ended_well(running);
    assert_eq!(numbers(&handled), Vec::from_iter(0..5));
}

pub fn two_runners_share_the_segments<D: Database + Send + 'static>() {
    let (database, connect) = connector::<D>();
    place(&mut database.connect(), 0..MESSAGES);
    let handled = Handled::default();
    let counts: [Arc<AtomicUsize>; 2] = Default::default();
    let running = counts.each_ref().map(|count| {
        let (noted, count) = (Arc::clone(&handled), Arc::clone(count));
        start(connect.clone(), 2, move |message| {
            note(&noted, message);
            count.fetch_add(1, Ordering::Relaxed);
            thread::sleep(Duration::from_millis(5));
            Ok(())
        })
    });
    wait_until("all messages are handled", || {
        numbers(&handled).len() >= MESSAGES as usize
    });
    for running in running {
        running.caught_up_within(Duration::from_secs(60)).unwrap();
        has_ended_well(running);
    }
    assert_eq!(numbers(&handled), Vec::from_iter(0..MESSAGES));
    let counts = counts.map(|count| count.load(Ordering::Relaxed));
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
}

pub fn a_paused_consumer_rests_until_it_is_resumed<D: Database + Send + 'static>() {
    let (database, connect) = connector::<D>();
    let mut bus = database.connect();
    let handled = Handled::default();
    let noted = Arc::clone(&handled);
    let make = || MessageConsumer::<Orders>::external("all", |_| Ok(()));
    let mut operator = ParallelConsumer::unordered(make).segments(16);
    assert_eq!(operator.handle_new_messages(&mut bus).unwrap(), 0);
    assert!(operator.pause(&mut bus).unwrap());
    let running = start(connect, 2, move |message| {
        note(&noted, message);
        Ok(())
    });
    place(&mut bus, 0..10);
    let late = running
        .caught_up_within(Duration::from_millis(300))
        .unwrap_err();
    assert!(late.to_string().contains("it is paused"), "{late}");
    assert!(operator.resume(&mut bus).unwrap());
    running.caught_up_within(Duration::from_secs(60)).unwrap();
    has_ended_well(running);
    assert_eq!(numbers(&handled), Vec::from_iter(0..10));
}

pub fn a_segment_that_stops_does_not_stop_the_others<D: Database + Send + 'static>() {
    let (database, connect) = connector::<D>();
    let mut bus = database.connect();
    place(&mut bus, 0..MESSAGES);
    let handled = Handled::default();
    let (noted, fails) = (Arc::clone(&handled), Arc::new(AtomicBool::new(true)));
    let failing = Arc::clone(&fails);
    let running = start(connect, 4, move |message| {
        if message.payload().number() == 41 && failing.load(Ordering::Relaxed) {
            return Err("a poisonous order".into());
        }
        note(&noted, message);
        Ok(())
    });
    wait_until("the other segments are handled", || {
        let rows = super::segments_if_any(&mut bus, "all");
        let end = persisting_message_bus::backend::MessageSource::current_head(&mut bus, "orders");
        let end = Some(end.unwrap());
        rows.iter().filter(|row| row.cursor >= end).count() == 15
    });
    let late = running
        .caught_up_within(Duration::from_millis(200))
        .unwrap_err();
    assert!(late.to_string().contains("a poisonous order"), "{late}");
    let exits = running.stop_within(STOP).unwrap();
    let error = exits[0].error.as_ref().expect("the segment has stopped");
    assert!(error.to_string().contains("segment "), "{error}");
    fails.store(false, Ordering::Relaxed);
    let key = key("all");
    assert!(!bus_is_held(&mut bus, key), "the leases are released");
}

/// Another process holds the consumer's lease, because it divides the consumer. So this one has not seen
/// its segments when it stops.
pub fn a_process_that_waits_for_the_division_ends_without_an_error<D: Database + Send + 'static>() {
    let (database, connect) = connector::<D>();
    let mut bus = database.connect();
    let request = LeaseRequest {
        consumer: "all",
        topic: "orders",
        segment: None,
        owner: "another process",
        duration: Duration::from_secs(60),
        identity: Default::default(),
    };
    let lease = bus.acquire(&request).unwrap();
    let running = start(connect.clone(), 2, |_| Ok(()));
    let late = running.caught_up_within(Duration::from_millis(300));
    let late = late.unwrap_err().to_string();
    assert!(late.contains("another process"), "{late}");
    has_ended_well(running);
    bus.release(&lease).unwrap();
    let running = start(connect, 2, |_| Ok(()));
    running.caught_up_within(Duration::from_secs(60)).unwrap();
    has_ended_well(running);
}

fn bus_is_held(
    bus: &mut impl persisting_message_bus::backend::MessageConsumerState,
    key: persisting_message_bus::operate::ConsumerKey<'_>,
) -> bool {
    let rows = super::segments_if_any(bus, key.consumer);
    let is_held = |row: &persisting_message_bus::backend::ConsumerRow| {
        row.lease_owner.is_some() && row.lease_expires_at > Some(row.now)
    };
    rows.iter().any(is_held)
}

/// As after a restore: the segments have cursors that were never assigned, and new messages come.
pub fn cursors_after_the_end_of_the_topic_are_told<D: Database + Send + 'static>() {
    let broken = |_head| Place {
        cursor: Some(Position::new(1_000_000)),
        anchor: None,
    };
    cursors_are_told::<D>(broken, "1000000");
}

/// As after a restore: positions were assigned again, and now as many as before.
pub fn another_message_at_the_cursors_is_told<D: Database + Send + 'static>() {
    let other = Uuid::now_v7();
    let broken = |head| Place {
        cursor: Some(head),
        anchor: Some(Anchor {
            position: head,
            message_id: other,
        }),
    };
    cursors_are_told::<D>(broken, &other.to_string());
}

/// Stores a place for all segments, and runs the consumer until it tells the problem.
fn cursors_are_told<D>(broken: impl Fn(Position) -> Place, told: &str)
where
    D: Database + Send + 'static,
{
    let (database, connect) = connector::<D>();
    let mut bus = database.connect();
    place(&mut bus, 0..10);
    let make = || MessageConsumer::<Orders>::external("all", |_| Ok(()));
    let mut consumer = ParallelConsumer::unordered(make).segments(16);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 10);
    let head = bus.current_head("orders").unwrap();
    let division = super::division(&mut bus, "all").unwrap();
    for segment in division.all("all") {
        let lease = take(&mut bus, &segment, "a database that was replaced", LEASE).unwrap();
        let update = CursorUpdate {
            place: broken(head),
            extend_lease: None,
        };
        bus.store_cursor(&lease, &update).unwrap();
    }
    let running = start(connect, 2, |_| Ok(()));
    wait_until("the broken cursors are told", || {
        let late = running.caught_up_within(Duration::from_millis(50));
        late.is_err_and(|late| late.to_string().contains(told))
    });
    drop(running);
}
