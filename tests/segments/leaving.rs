//! A rolling deployment, and how soon a living member takes the segments of one that has left.

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use diesel::Connection;
use diesel::connection::{Instrumentation, InstrumentationEvent};
use persisting_message_bus::backend::{MessageConsumerState, MessageSource};
use persisting_message_bus::operate::RunHandle;
use persisting_message_bus::sql::StatementWatch;
use persisting_message_bus::{Message, MessageConsumer, ParallelConsumer, Runner};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::waiting::{wait_until, wait_until_every};

use super::begun::{Log, publish, published, segment_of};
use super::records::{Verdict, judge};
use super::running::has_ended_well;
use super::topic::{KEYS, Steps};
use super::{connector, division};

/// A member has a thread for each segment.
const SEGMENTS: u16 = 4;

/// Lets so many pass, or all. The threads that wait are counted.
#[derive(Debug, Default)]
struct Gate {
    left: Mutex<Option<u32>>,
    changed: Condvar,
    waiting: AtomicUsize,
    passed: AtomicUsize,
}

impl Gate {
    fn let_pass(&self, number: Option<u32>) {
        *self.left.lock().unwrap() = number;
        self.changed.notify_all();
    }

    fn pass(&self) {
        const PATIENCE: Duration = Duration::from_secs(60);
        let left = self.left.lock().unwrap();
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let is_shut = |left: &mut Option<u32>| *left == Some(0);
        let waited = self.changed.wait_timeout_while(left, PATIENCE, is_shut);
        let (mut left, _) = waited.unwrap();
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        self.passed.fetch_add(1, Ordering::Relaxed);
        *left = left.map(|left| left.saturating_sub(1));
    }

    #[track_caller]
    fn wait_until_waiting(&self, awaited: &str, threads: u16) {
        let waiting = || self.waiting.load(Ordering::Relaxed);
        wait_until(awaited, || waiting() == usize::from(threads));
    }
}

/// Lets each look of a member pass a gate before it reads the segments.
#[derive(Debug)]
struct Looks(Arc<Gate>);

impl Instrumentation for Looks {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        if let InstrumentationEvent::StartQuery { query, .. } = event {
            let query = query.to_string();
            let (sql, values) = query.split_once("-- binds").unwrap_or((&query, ""));
            // A single segment is read by its name, such as `all/3 of 4`.
            if sql.contains("AS segment") && !values.contains("all/") {
                self.0.pass();
            }
        }
    }
}

/// A runner with a gate for its looks, and one for its handlers.
struct Member {
    own: u32,
    looks: Arc<Gate>,
    handlers: Arc<Gate>,
    running: RunHandle,
}

impl Member {
    fn join<C>(connect: impl Fn() -> C + Send + Sync + 'static, log: &Arc<Log>, own: u32) -> Self
    where
        C: Connection + MessageSource + MessageConsumerState + Send + 'static,
    {
        let [looks, handlers] = [(); 2].map(|()| Arc::<Gate>::default());
        let (noted, gate) = (Arc::clone(log), Arc::clone(&handlers));
        let make = move || {
            let (log, gate) = (Arc::clone(&noted), Arc::clone(&gate));
            MessageConsumer::external("all", move |message: &Message<Steps>| {
                log.note(own, message);
                gate.pass();
                thread::sleep(Duration::from_millis(1));
                Ok(())
            })
            .lease_duration(Duration::from_secs(120))
            .time_slice(Duration::from_millis(20))
        };
        let gate = Arc::clone(&looks);
        let running = Runner::new(move || {
            let mut bus = connect();
            let looks = StatementWatch::around(Looks(Arc::clone(&gate)));
            bus.set_instrumentation(looks);
            Ok::<_, io::Error>(bus)
        })
        .idle_interval(Duration::from_millis(50))
        .parallel(
            ParallelConsumer::by_key(make)
                .segments(SEGMENTS)
                .threads(SEGMENTS.into()),
        )
        .start();
        Self {
            own,
            looks,
            handlers,
            running,
        }
    }
}

/// Each time, the next member joins while the present one has all segments, and more messages wait in
/// each of them than it has in hand.
pub fn segments_of_a_member_that_leaves_are_taken_within_a_look<D>()
where
    D: Database<Bus: Connection> + Send + 'static,
{
    let (database, connect) = connector::<D>();
    let mut bus = database.connect();
    let log = Arc::<Log>::default();
    let mut messages = 0;
    let mut present = Member::join(connect.clone(), &log, 0);
    for next in 1..=3 {
        wait_until_every(Duration::from_millis(20), "the member is at work", || {
            if messages < log.different() + 200 {
                publish(&mut bus, messages..messages + 20, KEYS);
                messages += 20;
            }
            log.count_of(present.own) >= 60
        });
        present.handlers.let_pass(Some(0));
        publish(&mut bus, messages..messages + 200, KEYS);
        messages += 200;
        let awaited = "the member has each segment in a handler";
        present.handlers.wait_until_waiting(awaited, SEGMENTS);

        let joined = Member::join(connect.clone(), &log, next);
        wait_until("the next member has looked", || {
            joined.looks.passed.load(Ordering::Relaxed) >= 3
        });
        joined.looks.let_pass(Some(0));
        joined.looks.wait_until_waiting("a look begins", 1);
        assert_eq!(log.count_of(next), 0, "all segments are held");

        present.running.shutdown().request();
        present.handlers.let_pass(None);
        has_ended_well(present.running);
        joined.looks.let_pass(Some(1));
        let division = division(&mut bus, "all").unwrap();
        wait_until("all segments are taken within a look", || {
            let records = log.records().into_iter();
            let own = records.filter(|it| it.process == next);
            let taken: BTreeSet<_> = own.map(|it| segment_of(division, it.order)).collect();
            taken.len() == usize::from(SEGMENTS)
        });
        joined.looks.let_pass(None);
        present = joined;
    }
    wait_until("everything is handled", || log.different() == messages);
    has_ended_well(present.running);
    let verdict = judge(&log.records(), &published(messages, KEYS), &[]);
    assert_eq!(verdict, Verdict::default());
}
