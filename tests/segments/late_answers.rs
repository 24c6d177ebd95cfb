//! Consumers that are not divided, with answers of the database that take longer than the lease.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use diesel::Connection;
use diesel::connection::InstrumentationEvent;
use persisting_message_bus::backend::{Lease, LeaseRequest, MessageConsumerState};
use persisting_message_bus::operate::{MessageFailures, ParkedSelector};
use persisting_message_bus::{FailurePolicy, Message, MessageConsumer, RetryPolicy};
use persisting_message_bus_tests::waiting::{wait_for, wait_until};

use super::handling::place;
use super::key;
use super::sql::Sql;
use super::topic::Orders;

const LEASE: Duration = Duration::from_millis(600);
const HOUR: Duration = Duration::from_secs(3_600);

/// Takes the lease as another process as soon as it is free.
fn take(bus: &mut impl MessageConsumerState) -> Lease {
    let request = LeaseRequest {
        consumer: "all",
        topic: "orders",
        segment: None,
        owner: "another process",
        duration: HOUR,
        identity: Default::default(),
        hands_out: false,
    };
    wait_for("the lease is free", || {
        bus.acquire(&request).map_err(Box::new)
    })
}

/// Returns a connection that does this after the first statement for which the condition holds, before
/// the answer arrives.
fn delayed<D>(
    database: &D,
    is_late: impl Fn(&str) -> bool + Send + 'static,
    delay: impl FnOnce() + Send + 'static,
) -> D::Connection
where
    D: Sql<Connection: Connection>,
{
    let (mut bus, mut delay) = (database.connect(), Some(delay));
    bus.set_instrumentation(move |event: InstrumentationEvent<'_>| {
        if let InstrumentationEvent::FinishQuery { query, .. } = event
            && is_late(&query.to_string())
            && let Some(delay) = delay.take()
        {
            delay();
        }
    });
    bus
}

/// The cursor is stored and the lease renewed between two messages of a page, and the answer is late. The page
/// ends, and the next message is handled afterwards, once.
pub fn a_late_answer_ends_the_page_and_repeats_nothing<D: Sql<Connection: Connection>>() {
    let (database, mut bus) = D::with_effects();
    place(&mut bus, 0..2);
    let renews =
        |statement: &str| statement.contains("cursor_moved_at") && statement.contains("= 'page'");
    let mut holder = delayed(&database, renews, || {
        let begun = Instant::now();
        wait_until("a lease is over", || begun.elapsed() > LEASE);
    });
    let begun = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&begun);
    let mut consumer = MessageConsumer::<Orders>::external("all", move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        let begun = Instant::now();
        wait_until("half of a lease is over", || begun.elapsed() > LEASE / 2);
        Ok(())
    })
    .lease_duration(LEASE);
    assert_eq!(consumer.handle_page(&mut holder).unwrap(), 1);
    assert_eq!(begun.load(Ordering::SeqCst), 1);
    assert_eq!(consumer.handle_page(&mut holder).unwrap(), 1);
    assert_eq!(begun.load(Ordering::SeqCst), 2);
}

/// The answer to the statement before the first message is late. The error tells it, and nothing has moved.
pub fn a_late_answer_before_the_first_message_is_an_error<D: Sql<Connection: Connection>>() {
    let (database, mut bus) = D::with_effects();
    place(&mut bus, 0..2);
    let mut consumer = MessageConsumer::<Orders>::external("all", |_| Ok(()))
        .page_size(1)
        .lease_duration(LEASE);
    consumer.handle_page(&mut bus).unwrap();
    let before = bus.stored_consumer(key("all")).unwrap().unwrap();
    let wait = || {
        let begun = Instant::now();
        wait_until("a lease is over", || begun.elapsed() > LEASE);
    };
    // The take is late, so the lease is renewed, and the answer to that is late, too.
    let takes = |statement: &str| statement.contains("lease_epoch") && statement.contains(" + 1, ");
    let is_late =
        move |statement: &str| takes(statement) || statement.contains("suspect_until\" =");
    let waits = Arc::<AtomicUsize>::default();
    let mut holder = database.connect();
    let count = Arc::clone(&waits);
    holder.set_instrumentation(move |event: InstrumentationEvent<'_>| {
        if let InstrumentationEvent::FinishQuery { query, .. } = event
            && is_late(&query.to_string().replace('`', "\""))
        {
            count.fetch_add(1, Ordering::SeqCst);
            wait();
        }
    });
    let late = consumer.handle_page(&mut holder).unwrap_err();
    assert!(late.is_retryable() && !late.is_lease_lost(), "{late:?}");
    let text = format!("{late:#}");
    for part in ["all", "orders", "lease_duration", "600.0ms"] {
        assert!(text.contains(part), "{text}");
    }
    assert!(waits.load(Ordering::SeqCst) >= 2);
    let after = bus.stored_consumer(key("all")).unwrap().unwrap();
    assert_eq!(after.cursor, before.cursor);
    assert_eq!(after.cursor_moved_at, before.cursor_moved_at);
    assert_eq!(consumer.handle_page(&mut bus).unwrap(), 1);
}

/// Another process has taken the lease, and may have written what the hook would remove.
pub fn no_hook_is_called_after_a_late_answer<D: Sql<Connection: Connection>>() {
    let (database, mut bus) = D::with_effects();
    place(&mut bus, 0..2);
    let lease = take(&mut bus);
    bus.release(&lease).unwrap();
    let takes = |statement: &str| statement.contains("lease_epoch") && statement.contains(" + 1, ");
    let mut holder = delayed(&database, takes, move || drop(take(&mut bus)));
    let is_called = Arc::<AtomicBool>::default();
    let called = Arc::clone(&is_called);
    let mut consumer = MessageConsumer::<Orders>::external("all", |_| Ok(()))
        .before_replay(move || {
            called.store(true, Ordering::SeqCst);
            Ok(())
        })
        .lease_duration(LEASE);
    let lost = consumer.handle_new_messages(&mut holder).unwrap_err();
    assert!(lost.is_lease_lost(), "{lost:#}");
    assert!(!is_called.load(Ordering::SeqCst));
}

/// The redriven message is noted, and the answer is late, or that of the statement that reads the message.
pub fn no_redriven_message_begins_after_a_late_answer<D: Sql<Connection: Connection>>() {
    for later in [0, 1] {
        let (database, mut bus) = D::with_effects();
        place(&mut bus, 0..1);
        let begun = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&begun);
        let mut consumer =
            MessageConsumer::<Orders>::external("all", move |_: &Message<Orders>| {
                count.fetch_add(1, Ordering::SeqCst);
                Err("the service does not answer".into())
            })
            .retry(
                RetryPolicy::default()
                    .max_attempts(1)
                    .on_exhausted(FailurePolicy::Park),
            )
            .lease_duration(LEASE);
        consumer.handle_new_messages(&mut bus).unwrap();
        assert_eq!(bus.redrive(key("all"), ParkedSelector::All).unwrap(), 1);
        let since = AtomicUsize::new(0);
        let is_late = move |statement: &str| {
            let is_noted = statement.contains("redriven 1") && statement.contains("UPDATE");
            let seen = since.load(Ordering::SeqCst);
            if is_noted || seen > 0 {
                since.fetch_add(1, Ordering::SeqCst);
            }
            (is_noted || seen > 0) && seen == later
        };
        let mut holder = delayed(&database, is_late, move || drop(take(&mut bus)));
        consumer.handle_new_messages(&mut holder).unwrap_err();
        assert_eq!(begun.load(Ordering::SeqCst), 1, "{later} statements later");
        let row = database.connect().stored_consumer(key("all")).unwrap();
        let owner = row.unwrap().lease_owner;
        assert_eq!(owner.as_deref(), Some("another process"));
    }
}
