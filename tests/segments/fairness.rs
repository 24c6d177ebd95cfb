//! Two processes with one thread each, which share many segments with long backlogs.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use persisting_message_bus::backend::{DividedBy, Division, MessageConsumerState, MessageSource};
use persisting_message_bus::operate::RunHandle;
use persisting_message_bus::{
    Message, MessageConsumer, MessageDispatcher, ParallelConsumer, RetryPolicy, Runner,
};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::waiting::wait_until_every;

use super::begun::{Log, publish, segment_of};
use super::connector;
use super::handling::Noted;
use super::records::Record;
use super::running::has_ended_well;
use super::topic::{Numbered, Orders, Step};

const SEGMENTS: u16 = 16;
const FIRST: u32 = 1;
const SECOND: u32 = 2;

/// So many that each segment has messages.
const ORDERS: u64 = 400;

/// How many messages are compared: so many that each segment has several turns.
const COMPARED: usize = 1_200;

/// How long a message takes. About ten fit into the time slice.
const PAUSE: Duration = Duration::from_millis(2);
const TIME_SLICE: Duration = Duration::from_millis(20);

/// The longest delay before a message that fails is tried again.
const DELAY: Duration = Duration::from_millis(200);

/// The interval at which the test looks what is handled.
const INTERVAL: Duration = Duration::from_millis(20);

/// What the handlers of both processes share.
#[derive(Debug, Default)]
struct Shop {
    log: Log,
    /// The order whose messages fail.
    failing: Option<u64>,
    failures: AtomicU64,
}

impl Shop {
    fn handle(&self, process: u32, message: &Message<Orders>) -> Noted {
        let (order, _) = message.payload().numbers();
        if self.failing == Some(order) {
            self.failures.fetch_add(1, Ordering::SeqCst);
            return Err("the shop refuses the order".into());
        }
        self.log.note(process, message);
        thread::sleep(PAUSE);
        Ok(())
    }

    fn start<B>(
        self: &Arc<Self>,
        connect: impl Fn() -> B + Send + Sync + 'static,
        process: u32,
    ) -> RunHandle
    where
        B: MessageSource + MessageConsumerState + Send + 'static,
    {
        let shop = Arc::clone(self);
        let retry = RetryPolicy::default()
            .initial_delay(DELAY)
            .max_delay(DELAY)
            .max_attempts(u32::MAX);
        let make = move || {
            let shop = Arc::clone(&shop);
            let handler = move |message: &Message<Orders>| shop.handle(process, message);
            MessageConsumer::<Orders>::external("all", handler)
                .lease_duration(Duration::from_secs(120))
                .time_slice(TIME_SLICE)
                .retry(retry)
        };
        let consumer = ParallelConsumer::by_key(make).segments(SEGMENTS);
        Runner::new(move || Ok::<_, io::Error>(connect()))
            .idle_interval(Duration::from_millis(50))
            .parallel(consumer.threads(1))
            .start()
    }

    /// Lets a second process join the first one, until the condition holds for the records since the
    /// second one has begun to work. Returns these, and checks that both processes have a share.
    fn share<B>(
        self: &Arc<Self>,
        connect: impl Fn() -> B + Clone + Send + Sync + 'static,
        is_enough: impl Fn(&[Record]) -> bool,
    ) -> Vec<Record>
    where
        B: MessageSource + MessageConsumerState + Send + 'static,
    {
        let first = self.start(connect.clone(), FIRST);
        wait_until_every(INTERVAL, "the first process is at work", || {
            self.log.count_of(FIRST) >= 50
        });
        let second = self.start(connect, SECOND);
        let mut shared = Vec::<Record>::new();
        wait_until_every(INTERVAL, "both processes have handled enough", || {
            let records = self.log.records().into_iter();
            shared = records.skip_while(|it| it.process == FIRST).collect();
            !shared.is_empty() && is_enough(&shared)
        });
        for running in [first, second] {
            has_ended_well(running);
        }
        let all = self.log.records().len();
        assert_eq!(all as u64, self.log.different(), "nothing is repeated");
        for process in [FIRST, SECOND] {
            let own = shared.iter().filter(|it| it.process == process).count();
            let all = shared.len();
            assert!(own >= all / 4, "process {process}: {own} of {all}");
        }
        shared
    }
}

fn division() -> Division {
    Division::new(DividedBy::Key, SEGMENTS)
}

/// Returns the segments of the messages.
fn turns(records: &[Record]) -> BTreeSet<u16> {
    let orders: BTreeSet<_> = records.iter().map(|it| it.order).collect();
    let segments = orders.into_iter().map(|it| segment_of(division(), it));
    segments.collect()
}

/// The second process joins while each segment has more messages than both can handle meanwhile.
pub fn two_processes_share_long_backlogs<D: Database + Send + 'static>() {
    let (database, connect) = connector::<D>();
    publish(&mut database.connect(), 0..4_000, ORDERS);
    let shop = Arc::<Shop>::default();
    let shared = shop.share(connect, |shared| shared.len() >= COMPARED);
    let turns = turns(&shared[..COMPARED]);
    assert!(turns.into_iter().eq(0..SEGMENTS), "each has had its turns");
}

/// Replays `where_the_lowest_number_is_first`. The largest segment is also the first one of each look. It goes on, but not at the cost of the others.
pub fn a_segment_with_most_messages_takes_no_turns_from_the_others<D: Database + Send + 'static>() {
    const EACH: usize = 60;
    let (database, connect) = connector::<D>();
    let first_of = |segment: u16| {
        let mut orders = 0_u64..;
        orders.find(|order| segment_of(division(), *order) == segment)
    };
    let orders = Vec::from_iter((0..SEGMENTS).map(|segment| first_of(segment).unwrap()));
    let (largest, others) = (orders[0], EACH * (orders.len() - 1));
    // A hundred times as many as of each other segment.
    let mut messages = vec![largest; 99 * EACH];
    (0..EACH).for_each(|_| messages.extend(&orders));
    let steps = (0..).zip(messages);
    let steps = steps.map(|(number, order)| Step { order, number });
    MessageDispatcher::<Orders>::new()
        .dispatch_batch(&mut database.connect(), steps)
        .unwrap();
    let shop = Arc::<Shop>::default();
    let is_other = |record: &Record| record.order != largest;
    shop.share(connect, |_| {
        let records = shop.log.records().into_iter();
        records.filter(is_other).count() == others
    });
    let records = shop.log.records();
    let last = records.iter().rposition(is_other).unwrap();
    let meanwhile = last + 1 - others;
    // With equal turns, about as many as of each other segment.
    assert!((1..others / 2).contains(&meanwhile), "{meanwhile}");
}

/// The first message of a segment always fails, and is tried again after a delay, again and again.
pub fn a_segment_that_fails_takes_no_turns_from_the_others<D: Database + Send + 'static>() {
    const MESSAGES: u64 = 2_000;
    let (database, connect) = connector::<D>();
    publish(&mut database.connect(), 0..MESSAGES, ORDERS);
    let shop = Arc::new(Shop {
        failing: Some(0),
        ..Shop::default()
    });
    let failing = segment_of(division(), 0);
    let is_healthy = |number: &u64| segment_of(division(), number % ORDERS) != failing;
    let healthy = (0..MESSAGES).filter(is_healthy).count() as u64;
    let shared = shop.share(connect, |_| {
        let failures = shop.failures.load(Ordering::SeqCst);
        shop.log.different() == healthy && failures >= 3
    });
    let healthy = (0..SEGMENTS).filter(|segment| *segment != failing);
    assert!(turns(&shared).into_iter().eq(healthy), "all but {failing}");
}
