//! Holders of segments that are late: their threads are in handlers, their statements are answered late,
//! or their processes were frozen.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::slice;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use diesel::Connection;
use diesel::connection::InstrumentationEvent;
use nix::sys::signal::Signal;
use persisting_message_bus::backend::{
    DividedBy, Division, MessageConsumerState, MessageRepository,
};
use persisting_message_bus::operate::{RunHandle, end_lease};
use persisting_message_bus::{
    Message, MessageConsumer, ParallelConsumer, RetryPolicy, Runner, StartAt,
};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::waiting::{wait_until, wait_until_every};

use super::begun::{Log, publish, published, segment_of};
use super::fleet::{Fleet, THREADS};
use super::handling::place;
use super::lost_answers::{HOUR, LARGE, OWN, PATIENCE, telling};
use super::records::{Verdict, judge};
use super::running::has_ended_well;
use super::sql::Sql;
use super::topic::{KEYS, Orders, Steps};
use super::traces::{divide, segment, take};
use super::worker::{PAGE, TELLER, Worker};
use super::{connector, division, key, segments};

/// The lease of a holder that loses it, and that of a process or a transaction.
const SHORT: Duration = Duration::from_millis(600);
const LEASE: Duration = Duration::from_secs(3);

/// How long a handler of a worker takes, and how often a rival tries to take a segment.
const PAUSE: Duration = Duration::from_millis(5);

const SEGMENTS: u16 = 8;
const FEWER: u16 = 3;
const ROUNDS: u64 = 5;

/// Handlers of a consumer in two segments. The first message keeps its thread until a gate opens.
#[derive(Default, Clone)]
pub struct Beside {
    log: Arc<Log>,
    gate: Arc<AtomicBool>,
}

impl Beside {
    fn division() -> Division {
        Division::new(DividedBy::Key, 2)
    }

    /// Returns the number of the segment that does not have the first message.
    pub fn other_segment() -> u16 {
        1 - segment_of(Self::division(), 0)
    }

    pub fn handle(&self, message: &Message<Orders>) {
        self.log.note(OWN, message);
        if message.payload().number() == 0 {
            wait_until("the gate opens", || self.gate.load(Ordering::SeqCst));
        }
    }

    /// Publishes the first message, and waits until a thread is in its handler.
    pub fn enter(&self, bus: &mut impl MessageRepository) {
        place(bus, 0..1);
        wait_until("a thread is in its handler", || self.log.different() == 1);
    }

    /// Publishes messages of all keys. Those of the other segment are handled meanwhile.
    pub fn go_on(&self, bus: &mut impl MessageRepository) {
        let is_other = |order: &u64| segment_of(Self::division(), *order) == Self::other_segment();
        let others = (0..KEYS).filter(is_other).count() as u64;
        for round in 0..ROUNDS {
            place(bus, 1 + round * KEYS..1 + (round + 1) * KEYS);
            let begun = 1 + (round + 1) * others;
            wait_until("the other segment is handled", || {
                self.log.different() == begun
            });
            assert_eq!(self.log.records().len() as u64, begun, "each once");
        }
    }

    /// Returns the token of the first message of a segment that was begun.
    pub fn first_token_of(&self, segment: u16) -> i64 {
        let mut records = self.log.records().into_iter();
        let first = records.find(|it| segment_of(Self::division(), it.order) == segment);
        first.expect("a message of the segment").token
    }

    /// Opens the gate. Returns what was repeated.
    pub fn end(self, running: RunHandle, disturbed: &[u32]) -> Verdict {
        self.gate.store(true, Ordering::SeqCst);
        running.caught_up_within(PATIENCE).unwrap();
        has_ended_well(running);
        let published = published(1 + ROUNDS * KEYS, KEYS);
        judge(&self.log.records(), &published, disturbed)
    }
}

/// Replays `where_a_process_takes_its_own_segment` and `where_a_segment_does_not_wait_for_its_late_thread`:
/// an idle thread does not take the segment of another thread of its process, even if its lease has ended.
pub fn a_segment_waits_for_the_thread_that_works_on_it<D: Database + Send + 'static>() {
    for (has_ended, repeated) in [(false, BTreeMap::new()), (true, BTreeMap::from([(OWN, 1)]))] {
        let (database, connect) = connector::<D>();
        let (mut bus, beside) = (database.connect(), Beside::default());
        let own = beside.clone();
        let running = Runner::new(move || Ok::<_, io::Error>(connect()))
            .idle_interval(PAUSE)
            .retry(RetryPolicy::default().initial_delay(Duration::ZERO))
            .parallel(telling("all", LARGE, move |message| own.handle(message)))
            .start();
        beside.enter(&mut bus);
        if has_ended {
            assert!(end_lease(&mut bus, key("all")).unwrap());
        }
        beside.go_on(&mut bus);
        let verdict = beside.end(running, &[OWN]);
        let expected = Verdict {
            repeated,
            ..Verdict::default()
        };
        assert_eq!(verdict, expected);
    }
}

const OTHER: &str = "another process";

/// Another process takes the only segment as soon as its lease is over.
fn take_over(bus: &mut impl MessageConsumerState) {
    let segment = segment(bus, 0);
    wait_until("the lease is over", || {
        let row = segments(bus, "all").remove(0);
        row.lease_expires_at < Some(row.now)
    });
    take(bus, &segment, OTHER, HOUR).unwrap();
}

/// Another process cannot take the only segment. Returns the time by the database's clock.
fn is_refused(bus: &mut impl MessageConsumerState) -> DateTime<Utc> {
    let segment = segment(bus, 0);
    let refused = take(bus, &segment, OTHER, HOUR).unwrap_err();
    assert!(refused.is_lease_held(), "{refused}");
    segments(bus, "all")[0].now
}

/// Lets a holder handle two messages, each of which takes half of a lease. The answer to one of its
/// statements comes when the lease is over and another process has taken the segment. Returns how many
/// messages the holder has begun.
fn begun_with_a_late_answer<D: Sql<Connection: Connection>>(is_late: fn(&str) -> bool) -> usize {
    let (database, mut bus) = divide::<D>(1);
    publish(&mut bus, 0..2, 1);
    let (mut holder, mut other) = (database.connect(), Some(bus));
    holder.set_instrumentation(move |event: InstrumentationEvent<'_>| {
        if let InstrumentationEvent::FinishQuery { query, .. } = event
            && is_late(&query.to_string())
            && let Some(mut other) = other.take()
        {
            take_over(&mut other);
        }
    });
    let log = Arc::<Log>::default();
    let noted = Arc::clone(&log);
    let make = move || {
        let log = Arc::clone(&noted);
        MessageConsumer::<Orders>::external("all", move |message: &Message<Orders>| {
            log.note(OWN, message);
            let begun = Instant::now();
            wait_until("half of a lease is over", || begun.elapsed() > SHORT / 2);
            Ok(())
        })
        .lease_duration(SHORT)
    };
    let mut consumer = ParallelConsumer::by_key(make);
    let lost = consumer.handle_new_messages(&mut holder).unwrap_err();
    assert!(lost.is_lease_lost(), "{lost:#}");
    let row = segments(&mut database.connect(), "all").remove(0);
    assert_eq!(row.lease_owner.as_deref(), Some(OTHER));
    log.records().len()
}

/// Replays `where_a_take_counts_from_its_answer`.
pub fn a_take_that_is_answered_late_begins_nothing<D: Sql<Connection: Connection>>() {
    let takes = |statement: &str| statement.contains("lease_epoch") && statement.contains(" + 1, ");
    assert_eq!(begun_with_a_late_answer::<D>(takes), 0);
}

/// Replays `where_a_renewal_counts_from_its_answer`: the cursor is stored and the lease renewed between
/// the two messages of a page. The second one is not begun.
pub fn a_renewal_that_is_answered_late_begins_nothing<D: Sql<Connection: Connection>>() {
    let renews =
        |statement: &str| statement.contains("cursor_moved_at") && statement.contains("= 'page'");
    assert_eq!(begun_with_a_late_answer::<D>(renews), 1);
}

/// Replays `where_only_the_begin_of_a_transaction_extends_the_lease` and
/// `where_a_segment_is_dropped_during_its_transaction`: another process tries to take the segment until the
/// lease is over, and again between the COMMIT and the next statement.
pub fn a_transaction_that_outlasts_its_lease_keeps_its_segment<D: Sql<Connection: Connection>>() {
    let (database, mut bus) = divide::<D>(1);
    publish(&mut bus, 0..2, 1);
    let (log, tried) = <(Arc<Log>, Arc<AtomicUsize>)>::default();
    let (mut holder, other) = (database.connect(), Arc::new(Mutex::new(bus)));
    let (begun, count, rival) = (Arc::clone(&log), Arc::clone(&tried), Arc::clone(&other));
    holder.set_instrumentation(move |event: InstrumentationEvent<'_>| {
        if let InstrumentationEvent::FinishQuery { query, .. } = event
            && query.to_string().starts_with("COMMIT")
            && begun.different() == 1
        {
            is_refused(&mut *rival.lock().unwrap());
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    let noted = Arc::clone(&log);
    let make = move || {
        let (log, other) = (Arc::clone(&noted), Arc::clone(&other));
        let handler = move |_: &mut D::Connection, message: &Message<Orders>| {
            log.note(OWN, message);
            if log.different() == 1 {
                let mut rival = other.lock().unwrap();
                let until = is_refused(&mut *rival) + LEASE;
                wait_until_every(PAUSE, "the lease is over", || {
                    is_refused(&mut *rival) > until
                });
            }
            Ok(())
        };
        MessageConsumer::<Orders>::transactional("all", handler)
            .page_size(1)
            .lease_duration(LEASE)
            .time_slice(HOUR)
    };
    let mut consumer = ParallelConsumer::by_key(make);
    assert_eq!(consumer.handle_new_messages(&mut holder).unwrap(), 2);
    assert_eq!(tried.load(Ordering::SeqCst), 1);
    let tokens = log.records().into_iter().map(|it| it.token);
    assert_eq!(tokens.collect::<BTreeSet<_>>().len(), 1, "one lease");
}

/// Starts a worker that has more messages than it can handle soon.
fn at_work<D: Sql>() -> (Fleet<D>, Worker) {
    let mut fleet = Fleet::<D>::new(SEGMENTS);
    (fleet.task.lease, fleet.task.pause) = (LEASE, PAUSE);
    let worker = fleet.start();
    fleet.publish_until_at_work(slice::from_ref(&worker), 30);
    fleet.publish(400);
    (fleet, worker)
}

/// Freezes a worker while its tellers hold segments. Returns when the last of their leases ends.
fn freeze<D: Sql>(fleet: &mut Fleet<D>, worker: &Worker) -> DateTime<Utc> {
    let mut end = None;
    fleet.wait_until("it is frozen while it holds segments", |fleet| {
        worker.signal(Signal::SIGSTOP);
        let rows = segments(&mut fleet.bus, TELLER).into_iter();
        end = rows.filter_map(|row| row.lease_expires_at).max();
        if end.is_none() {
            worker.signal(Signal::SIGCONT);
        }
        end.is_some()
    });
    end.expect("it holds segments")
}

/// Returns the consumer of the tellers, for an operator.
fn operator() -> ParallelConsumer<Steps, impl Sized> {
    ParallelConsumer::by_key(|| MessageConsumer::<Steps>::external(TELLER, |_| Ok(())))
}

/// Replays `where_a_reset_keeps_owner_and_epoch`: the lease is over, so the reset is not refused. Then the
/// holder is woken, with messages whose cursor it has not stored.
pub fn a_woken_holder_does_not_undo_a_reset<D: Sql>() {
    let (mut fleet, worker) = at_work::<D>();
    let frozen = worker.number;
    freeze(&mut fleet, &worker);
    fleet.wait_until("its leases are over", |fleet| {
        let rows = segments(&mut fleet.bus, TELLER);
        let mut ends = rows.iter().map(|row| (row.lease_expires_at, row.now));
        ends.all(|(end, now)| end.is_none_or(|end| end < now))
    });
    operator().reset(&mut fleet.bus, StartAt::Start).unwrap();
    let rows = segments(&mut fleet.bus, TELLER);
    worker.signal(Signal::SIGCONT);
    let verdict = fleet.finish(vec![worker], &[frozen]);
    // A thread can be frozen after the library's last check and before the handler records.
    let late = verdict.late.get(&frozen).copied().unwrap_or(0);
    assert!(late <= THREADS, "{verdict:?}");
    let division = division(&mut fleet.bus, TELLER).unwrap();
    let epoch = |order| rows[usize::from(segment_of(division, order))].lease_epoch;
    let records = fleet.records().iter();
    let again = records.filter(|it| it.token > epoch(it.order));
    let again: BTreeSet<_> = again.map(|it| (it.order, it.number)).collect();
    assert_eq!(again.len() as u64, fleet.messages, "handled again");
}

/// Replays `where_epochs_begin_again` and `where_a_segment_is_taken_between_check_and_replacing` with a
/// process that is frozen until there are new segments with the names of the former ones.
pub fn a_woken_holder_changes_nothing_of_new_segments<D: Sql>() {
    let (mut fleet, first) = at_work::<D>();
    let frozen = first.number;
    let leases_end = freeze(&mut fleet, &first);
    let second = fleet.start();
    for to in [FEWER, SEGMENTS] {
        assert!(operator().resize(&mut fleet.bus, to).unwrap());
        let wanted = Some(Division::new(DividedBy::Key, to));
        fleet.publish_until("the segments are replaced", |fleet| {
            division(&mut fleet.bus, TELLER) == wanted
        });
        assert!(fleet.now() >= leases_end, "they were held");
    }
    first.signal(Signal::SIGCONT);
    let workers = vec![first, second];
    fleet.publish_until_at_work(&workers, 30);
    let verdict = fleet.finish(workers, &[frozen]);
    let [repeated, late] =
        [&verdict.repeated, &verdict.late].map(|it| it.get(&frozen).copied().unwrap_or(0));
    assert!(repeated <= THREADS * PAGE, "{verdict:?}");
    assert!(late <= THREADS, "{verdict:?}");
}
