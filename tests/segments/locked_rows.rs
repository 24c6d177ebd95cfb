//! Another transaction locks rows of segments for longer than their leases.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use persisting_message_bus::backend::{MessageConsumerState, TransactionControl};
use persisting_message_bus::operate::RunHandle;
use persisting_message_bus::{MessageConsumer, ParallelConsumer, Runner};
use persisting_message_bus_tests::waiting::{wait_for, wait_until};

use super::handling::place;
use super::running::has_ended_well;
use super::sql::Sql;
use super::topic::{KEYS, Orders};
use super::traces::{divide, segment, take};
use super::{connector, key, segments};

const LEASE: Duration = Duration::from_millis(900);
const HOUR: Duration = Duration::from_secs(3_600);
const SEGMENTS: u16 = 4;

/// How long a row is locked, and how long it is free.
const MOMENT: Duration = Duration::from_millis(10);

/// One thread for each segment, all in handlers until the gate is open.
struct AtWork {
    gate: Arc<AtomicBool>,
    running: RunHandle,
}

impl AtWork {
    fn start<D: Sql>(connect: impl Fn() -> D::Bus + Send + Sync + 'static) -> Self {
        let (gate, begun) = <(Arc<AtomicBool>, Arc<AtomicUsize>)>::default();
        let (is_open, count) = (Arc::clone(&gate), Arc::clone(&begun));
        let make = move || {
            let (is_open, count) = (Arc::clone(&is_open), Arc::clone(&count));
            MessageConsumer::<Orders>::external("all", move |_| {
                count.fetch_add(1, Ordering::SeqCst);
                wait_until("the gate opens", || is_open.load(Ordering::SeqCst));
                Ok(())
            })
            .lease_duration(LEASE)
        };
        let running = Runner::new(move || Ok::<_, io::Error>(connect()))
            .parallel(
                ParallelConsumer::by_key(make)
                    .segments(SEGMENTS)
                    .threads(SEGMENTS.into()),
            )
            .start();
        wait_until("all threads are in handlers", || {
            begun.load(Ordering::SeqCst) == usize::from(SEGMENTS)
        });
        Self { gate, running }
    }

    fn end(self) {
        self.gate.store(true, Ordering::SeqCst);
        has_ended_well(self.running);
    }
}

/// Begins a transaction that changes the rows of segments.
fn lock<D: Sql>(database: &D, segments: &[&str]) -> D::Bus {
    let mut operator = database.connect();
    operator.begin().unwrap();
    for segment in segments {
        let lock = format!(
            "UPDATE message_consumer_segments SET paused_at = CURRENT_TIMESTAMP
            WHERE segment = '{segment}'"
        );
        operator.batch_execute(&lock).unwrap();
    }
    operator
}

/// Replays `where_renewals_wait_for_transactions`. The leases of all segments but one run out, because their rows are locked. That of the other one is
/// renewed all the time.
pub fn a_lease_is_renewed_beside_leases_that_cannot_be<D: Sql>() {
    let (database, connect) = connector::<D>();
    let mut bus = database.connect();
    place(&mut bus, 0..KEYS);
    let at_work = AtWork::start::<D>(connect);
    // In some order of the renewals, the others come before it.
    for kept in [0, usize::from(SEGMENTS) - 1] {
        let names = Vec::from_iter((0..SEGMENTS).map(|number| segment(&mut bus, number).name));
        let others = names.iter().enumerate().filter(|(at, _)| *at != kept);
        let others = Vec::from_iter(others.map(|(_, name)| &**name));
        let mut operator = lock(&*database, &others);
        let until = segments(&mut bus, "all")[kept].now + LEASE * 3;
        wait_for("three lease durations are over", || {
            let rows = segments(&mut bus, "all");
            let row = &rows[kept];
            let is_held = row.lease_expires_at.is_some_and(|expiry| expiry > row.now);
            assert!(is_held, "the lease of {kept} has expired: {row:?}");
            let are_over = |row: &persisting_message_bus::backend::ConsumerRow| {
                row.lease_expires_at.is_some_and(|it| it < row.now)
            };
            let mut others = rows.iter().enumerate().filter(|(at, _)| *at != kept);
            let is_over = row.now > until && others.all(|(_, row)| are_over(row));
            is_over.then_some(()).ok_or(Box::new(rows))
        });
        operator.rollback().unwrap();
        wait_for("the leases are renewed again", || {
            let rows = segments(&mut bus, "all");
            let mut expiries = rows.iter().map(|row| (row.lease_expires_at, row.now));
            let are_held = expiries.all(|(expiry, now)| expiry.is_some_and(|it| it > now));
            are_held.then_some(()).ok_or(Box::new(rows))
        });
    }
    at_work.end();
}

/// Another program locks the row of a lease for a moment, again and again. A renewal that fails is tried
/// again at once, because the next one can be too late.
pub fn a_lease_is_kept_although_its_row_is_often_locked<D: Sql>() {
    let (database, connect) = connector::<D>();
    let mut bus = database.connect();
    place(&mut bus, 0..KEYS);
    let at_work = AtWork::start::<D>(connect);
    let name = segment(&mut bus, 1).name;
    let until = segments(&mut bus, "all")[1].now + LEASE * 6;
    wait_until("six lease durations are over", || {
        let mut operator = lock(&*database, &[&name]);
        let locked = Instant::now();
        wait_until("a moment", || locked.elapsed() > MOMENT);
        operator.rollback().unwrap();
        let free = Instant::now();
        wait_until("a moment", || free.elapsed() > MOMENT);
        let row = segments(&mut bus, "all").remove(1);
        let is_held = row.lease_expires_at.is_some_and(|expiry| expiry > row.now);
        assert!(is_held, "the lease has expired: {row:?}");
        row.now > until
    });
    at_work.end();
}

/// The leases of all other segments are ended, although a transaction has locked the row of one.
pub fn leases_are_ended_beside_one_that_cannot_be<D: Sql>() {
    let (database, mut bus) = divide::<D>(3);
    for number in 0..3 {
        let segment = segment(&mut bus, number);
        take(&mut bus, &segment, "first", HOUR).unwrap();
    }
    let mut operator = lock(&database, &[&segment(&mut bus, 0).name]);
    bus.batch_execute(D::WAITS_A_SECOND).unwrap();
    let before = segments(&mut bus, "all");
    let refused = bus.end_lease(key("all")).unwrap_err();
    assert!(refused.is_retryable(), "{refused:?}");
    operator.rollback().unwrap();
    let after = segments(&mut bus, "all");
    let ended = before.iter().zip(&after);
    let ended = ended.map(|(before, after)| after.lease_epoch > before.lease_epoch);
    assert_eq!(Vec::from_iter(ended), [false, true, true]);
}

/// A row that is locked is not a lease that is lost, and a renewal does not wait for it, in whatever
/// isolation level.
pub fn a_renewal_of_a_locked_row_fails_at_once<D: Sql>() {
    is_refused_at_once::<D>("SELECT 1");
    is_refused_at_once::<D>(D::SERIALIZABLE);
}

fn is_refused_at_once<D: Sql>(set_session: &str) {
    let (database, mut bus) = divide::<D>(2);
    bus.batch_execute(set_session).unwrap();
    let segment = segment(&mut bus, 1);
    let lease = take(&mut bus, &segment, "first", HOUR).unwrap();
    let mut operator = lock(&database, &[&segment.name]);
    let locked = bus.renew(&lease, HOUR).unwrap_err();
    assert!(
        locked.is_retryable() && !locked.is_lease_lost() && !locked.may_be_of_connection(),
        "{locked:?}"
    );
    let text = format!("{locked:#}");
    let parts = [
        "all",
        "orders",
        "segment 1",
        "another transaction",
        "ends at",
        "lists them by",
    ];
    for part in parts {
        assert!(text.contains(part), "{text}");
    }
    operator.rollback().unwrap();
    bus.renew(&lease, HOUR).unwrap();
    // What locks the row may also take the lease.
    let mut thief = database.connect();
    thief.begin().unwrap();
    thief.end_lease(key("all")).unwrap();
    assert!(!bus.renew(&lease, HOUR).unwrap_err().is_lease_lost());
    thief.commit().unwrap();
    assert!(bus.renew(&lease, HOUR).unwrap_err().is_lease_lost());
}
