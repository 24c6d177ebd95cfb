//! Messages that fail in several segments of a running consumer at once.

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use persisting_message_bus::backend::{DividedBy, Division};
use persisting_message_bus::handler::PageHandler;
use persisting_message_bus::operate::{MessageFailures, ParkedSelector, RunHandle};
use persisting_message_bus::{
    FailurePolicy, Message, MessageConsumer, ParallelConsumer, RetryPolicy, Runner,
};
use persisting_message_bus_tests::databases::Database;

use super::begun::segment_of;
use super::handling::{MESSAGES, Noted};
use super::redriven_beside_live::{Live, external, parked, transactional};
use super::topic::{KEYS, Numbered, Orders};
use super::{connector, key};

const SEGMENTS: u16 = 8;
const THREADS: usize = 4;

/// How long each call of a handler takes.
const PAUSE: Duration = Duration::from_millis(1);

/// How often a message is attempted before it is parked.
const ATTEMPTS: u32 = 3;

/// The messages that fail until they are cured. Two keys have two of them.
const GUILTY: [u64; 12] = [20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 40, 45];

/// The numbers of an order and of its message.
pub type Numbers = (u64, u64);

/// What the handlers of all threads share.
#[derive(Default)]
pub struct Work {
    guilty: Vec<u64>,
    /// The last message that does not fail any more.
    cured: AtomicU64,
    /// All calls of handlers, also those that failed or were rolled back.
    calls: Mutex<Vec<Numbers>>,
    effects: Mutex<Vec<Numbers>>,
    /// The segments on which a handler is at work.
    busy: [AtomicBool; SEGMENTS as usize],
    /// How often two handlers were at work on one segment.
    overlaps: AtomicUsize,
}

impl Work {
    pub fn failing_at(guilty: &[u64]) -> Arc<Self> {
        Arc::new(Self {
            guilty: guilty.to_vec(),
            ..Self::default()
        })
    }

    /// The messages up to this number fail no more.
    pub fn cure(&self, up_to: u64) {
        self.cured.store(up_to, SeqCst);
    }

    /// Handles a message, and counts if its segment is at work already.
    pub fn handle(
        &self,
        message: &Message<Orders>,
        effect: impl FnOnce(Numbers) -> Noted,
    ) -> Noted {
        let (order, number) = message.payload().numbers();
        self.calls.lock().unwrap().push((order, number));
        let busy = &self.busy[usize::from(segment(order))];
        if busy.swap(true, SeqCst) {
            self.overlaps.fetch_add(1, SeqCst);
        }
        thread::sleep(PAUSE);
        let handled = if self.guilty.contains(&number) && number > self.cured.load(SeqCst) {
            Err("a poisonous order".into())
        } else {
            effect((order, number))
        };
        busy.store(false, SeqCst);
        handled
    }

    pub fn note(&self, effect: Numbers) {
        self.effects.lock().unwrap().push(effect);
    }

    pub fn effects(&self) -> Vec<Numbers> {
        self.effects.lock().unwrap().clone()
    }

    /// Checks that each message has taken effect once, and those that never failed in the order of their
    /// keys.
    pub fn judge(&self, effects: &[Numbers], published: u64) {
        let mut numbers = Vec::from_iter(effects.iter().map(|it| it.1));
        numbers.sort_unstable();
        assert_eq!(numbers, Vec::from_iter(0..published));
        for order in 0..KEYS {
            let is_live = |it: &&Numbers| it.0 == order && !self.guilty.contains(&it.1);
            let live = effects.iter().filter(is_live).map(|it| it.1);
            assert!(live.is_sorted(), "order {order}: {effects:?}");
        }
        assert_eq!(self.overlaps.load(SeqCst), 0, "two at work on one segment");
    }
}

fn segment(order: u64) -> u16 {
    segment_of(Division::new(DividedBy::Key, SEGMENTS), order)
}

/// Starts a runner with a consumer that parks a message after so many attempts.
pub fn start<D, H>(
    connect: impl Fn() -> D::Bus + Send + Sync + 'static,
    work: &Arc<Work>,
    attempts: u32,
    make: impl Fn(&Arc<Work>) -> MessageConsumer<Orders, H> + Send + Sync + 'static,
) -> RunHandle
where
    D: Database,
    H: PageHandler<Orders, D::Bus> + Send + 'static,
{
    let retry = RetryPolicy::default()
        .initial_delay(Duration::ZERO)
        .max_attempts(attempts)
        .on_exhausted(FailurePolicy::Park);
    let work = Arc::clone(work);
    let consumer = move || {
        let consumer = make(&work).retry(retry);
        consumer.time_slice(Duration::from_millis(20))
    };
    let consumer = ParallelConsumer::by_key(consumer).segments(SEGMENTS);
    Runner::new(move || Ok::<_, io::Error>(connect()))
        .idle_interval(Duration::from_millis(20))
        .parallel(consumer.threads(THREADS))
        .start()
}

/// The handlers of several segments fail at once. Each message holds up its segment until it is parked.
pub fn messages_of_many_segments_are_parked_and_redriven<D: Database + Send + 'static>() {
    let work = park_and_redrive::<D, _>(external);
    are_attempted_in_order(&work.calls.lock().unwrap());
}

/// The same, with handlers whose effects are rolled back when a later message of the page fails.
pub fn messages_of_transactional_segments_are_parked_and_redriven<D: Database + Send + 'static>() {
    park_and_redrive::<D, _>(transactional::<D::Bus>);
}

fn park_and_redrive<D, H>(
    make: impl Fn(&Arc<Work>) -> MessageConsumer<Orders, H> + Send + Sync + 'static,
) -> Arc<Work>
where
    D: Database + Send + 'static,
    H: PageHandler<Orders, D::Bus> + Send + 'static,
{
    let segments = BTreeSet::from_iter(GUILTY.map(|number| segment(number % KEYS)));
    assert!(segments.len() > 4, "{segments:?}");
    let (database, connect) = connector::<D>();
    let work = Work::failing_at(&GUILTY);
    let mut live = Live::<D>::new(&database, &work);
    live.publish(MESSAGES);
    let running = start::<D, H>(connect, &work, ATTEMPTS, make);
    live.wait_until("all others are handled", |live, effects| {
        let all = effects.len() + GUILTY.len() == MESSAGES as usize;
        all && parked(&mut live.bus).len() == GUILTY.len()
    });
    let found = parked(&mut live.bus);
    assert!(found.iter().all(|it| it.attempts == ATTEMPTS), "{found:?}");
    work.cure(u64::MAX);
    live.publish(MESSAGES);
    let redriven = live.bus.redrive(key("all"), ParkedSelector::All);
    assert_eq!(redriven.unwrap(), GUILTY.len() as u64);
    live.finish(running);
    work
}

/// Checks that each failing message was attempted as often as allowed before the later ones of its key,
/// and once more when it was redriven.
fn are_attempted_in_order(calls: &[Numbers]) {
    let more = ATTEMPTS as usize - 1;
    let attempts = |number: u64| 1 + more * usize::from(GUILTY.contains(&number));
    let at_first: usize = (0..MESSAGES).map(attempts).sum();
    let (first, later) = calls.split_at(at_first);
    for order in 0..KEYS {
        let called = first.iter().filter(|it| it.0 == order).map(|it| it.1);
        let steps = (order..MESSAGES).step_by(KEYS as usize);
        let expected = steps.flat_map(|number| vec![number; attempts(number)]);
        assert!(called.eq(expected), "order {order}: {calls:?}");
    }
    assert_eq!(later.len(), MESSAGES as usize + GUILTY.len());
}
