//! Many threads, and several runners as processes.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use persisting_message_bus::backend::{LeaseRequest, MessageConsumerState};
use persisting_message_bus::memory::InMemoryMessageBus;
use persisting_message_bus::operate::RunHandle;
use persisting_message_bus::{Message, MessageConsumer, ParallelConsumer, RetryPolicy, Runner};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::waiting::wait_until;

use super::handling::{Handled, MESSAGES, note, numbers, place};
use super::topic::Orders;
use super::traces::take;
use super::{LEASE, connector, division};

pub const STOP: Duration = Duration::from_secs(30);
const HOUR: Duration = Duration::from_secs(3_600);

/// Starts a runner with a consumer of many threads, which calls this for each message.
pub fn start<B>(
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

pub fn has_ended_well(running: RunHandle) {
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

/// Connections are refused, and the stop comes while the coordinator and the thread wait for the next ones.
#[test]
fn the_reason_why_a_consumer_never_worked_is_kept() {
    let (hangs, hanging) = <(Arc<AtomicBool>, Arc<AtomicUsize>)>::default();
    let (is_hanging, waiting) = (Arc::clone(&hangs), Arc::clone(&hanging));
    let (ended, is_ended) = std::sync::mpsc::channel::<()>();
    let is_ended = std::sync::Mutex::new(is_ended);
    let connect = move || {
        if is_hanging.load(Ordering::SeqCst) {
            waiting.fetch_add(1, Ordering::SeqCst);
            let _dropped = is_ended.lock().unwrap().recv();
        }
        Err::<InMemoryMessageBus, _>(io::Error::other("no server listens there"))
    };
    let make = || MessageConsumer::<Orders>::external("all", |_| Ok(()));
    let running = Runner::new(connect)
        .retry(RetryPolicy::default().initial_delay(Duration::ZERO))
        .parallel(ParallelConsumer::by_key(make).segments(2).threads(1))
        .start();
    wait_until("the coordinator is refused", || {
        let late = running.caught_up_within(Duration::from_millis(10));
        late.is_err_and(|late| late.to_string().contains("no server listens"))
    });
    hangs.store(true, Ordering::SeqCst);
    wait_until("both connect again", || hanging.load(Ordering::SeqCst) == 2);
    let exits = running.stop_within(STOP).unwrap();
    drop(ended);
    let error = exits[0].error.as_ref().expect("it has never worked");
    assert!(
        format!("{error:#}").contains("no server listens"),
        "{error:#}"
    );
}

/// No connection can help, so none is opened.
#[test]
fn a_consumer_with_a_hook_ends_at_once() {
    let make = || MessageConsumer::<Orders>::external("all", |_| Ok(())).before_replay(|| Ok(()));
    let connections = Arc::<AtomicUsize>::default();
    let opened = Arc::clone(&connections);
    let running = Runner::new(move || {
        opened.fetch_add(1, Ordering::SeqCst);
        Ok::<_, io::Error>(InMemoryMessageBus::default())
    })
    .parallel(ParallelConsumer::by_key(make).segments(2).threads(1))
    .start();
    let exits = running.join();
    let error = exits[0].error.as_ref().expect("it is refused");
    assert!(error.to_string().contains("all"), "{error}");
    assert!(format!("{error:#}").contains("before_replay"), "{error:#}");
    assert_eq!(connections.load(Ordering::SeqCst), 0);
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

/// So many come at once that any segment may have some.
pub fn more_messages_than_are_counted_are_handled<D: Database + Send + 'static>() {
    let (database, connect) = connector::<D>();
    let handled = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&handled);
    let running = start(connect, 3, move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        Ok(())
    });
    running.caught_up_within(Duration::from_secs(60)).unwrap();
    place(&mut database.connect(), 0..12_000);
    running.caught_up_within(Duration::from_secs(60)).unwrap();
    has_ended_well(running);
    assert_eq!(handled.load(Ordering::Relaxed), 12_000);
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

/// A message that keeps failing holds up a change of the number of segments.
pub fn a_change_that_waits_is_told<D: Database + Send + 'static>() {
    let (database, connect) = connector::<D>();
    let mut bus = database.connect();
    let make = || MessageConsumer::<Orders>::external("all", |_| Ok(()));
    let mut operator = ParallelConsumer::unordered(make).segments(16);
    assert_eq!(operator.handle_new_messages(&mut bus).unwrap(), 0);
    place(&mut bus, 0..MESSAGES);
    assert!(operator.resize(&mut bus, 4).unwrap());
    let division = division(&mut bus, "all").unwrap();
    let held = take(&mut bus, &division.segment("all", 3), "another", HOUR).unwrap();
    let running = start(connect, 4, |_| Ok(()));
    wait_until("the change is told", || {
        let late = running.caught_up_within(Duration::from_millis(50));
        late.is_err_and(|late| late.to_string().contains("changes to 4 segments"))
    });
    bus.release(&held).unwrap();
    running.caught_up_within(Duration::from_secs(60)).unwrap();
    has_ended_well(running);
    assert_eq!(super::division(&mut bus, "all").unwrap().segments, 4);
}

/// The threads would work on the segments of different consumers.
pub fn consumers_of_several_names_are_refused<D: Database + Send + 'static>() {
    let (_database, connect) = connector::<D>();
    let number = AtomicUsize::new(0);
    let make = move || {
        let number = number.fetch_add(1, Ordering::Relaxed);
        MessageConsumer::<Orders>::external(format!("all {number}"), |_: &Message<Orders>| Ok(()))
    };
    let running = Runner::new(move || Ok::<_, io::Error>(connect()))
        .parallel(ParallelConsumer::unordered(make).threads(2))
        .start();
    let exits = running.stop_within(STOP).unwrap();
    let error = exits[0].error.as_ref().expect("it was not started");
    let told = format!("{error:#}");
    assert!(told.contains("of one name"), "{told}");
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
        hands_out: false,
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
