//! A deployment that adds a topic to the event set, while older and newer members are at work.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use persisting_message_bus::backend::{MessageConsumerState, MessageSource};
use persisting_message_bus::operate::RunHandle;
use persisting_message_bus::{Keyed, MessageDispatcher, OnAdded, ParallelConsumer, Runner};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::waiting::{wait_until, wait_until_every};

use super::begun::{Log, member};
use super::connector;
use super::records::Record;
use super::running::has_ended_well;
use super::topic::{Both, KEYS, Numbered, Orders, Paid, Payments, Step, Steps};

/// Payments have odd numbers, and steps even ones.
fn is_payment(record: &Record) -> bool {
    record.number % 2 == 1
}

fn start<S, B>(
    connect: impl Fn() -> B + Send + Sync + 'static,
    log: &Arc<Log>,
    own: u32,
) -> RunHandle
where
    S: Keyed + Numbered + 'static,
    B: MessageSource + MessageConsumerState + Send + 'static,
{
    let log = Arc::clone(log);
    let make = move || {
        let member = member::<S>(&log, own, Duration::from_millis(1));
        member.page_size(10).on_added(OnAdded::Replay)
    };
    Runner::new(move || Ok::<_, io::Error>(connect()))
        .idle_interval(Duration::from_millis(20))
        .parallel(ParallelConsumer::by_key(make).segments(8).threads(2))
        .start()
}

/// Messages of both topics in turn, and what was begun of them.
struct Deployment<D: Database> {
    bus: D::Bus,
    messages: u64,
    log: Arc<Log>,
}

impl<D: Database> Deployment<D> {
    /// Publishes steps and payments of all orders.
    fn publish(&mut self) {
        for order in 0..KEYS {
            let number = self.messages;
            let step = Step { order, number };
            MessageDispatcher::<Orders>::new()
                .dispatch(&mut self.bus, &step)
                .unwrap();
            let number = number + 1;
            MessageDispatcher::<Payments>::new()
                .dispatch(&mut self.bus, &Paid { order, number })
                .unwrap();
            self.messages += 2;
        }
    }

    /// Returns how many steps and payments each member has begun.
    fn begun(&self) -> BTreeMap<u32, [usize; 2]> {
        let mut begun = BTreeMap::<u32, [usize; 2]>::new();
        for record in self.log.records() {
            begun.entry(record.process).or_default()[usize::from(is_payment(&record))] += 1;
        }
        begun
    }

    /// Publishes until these members have begun so many more steps, and payments.
    #[track_caller]
    fn publish_until_begun(&mut self, awaited: &str, more: &[(u32, [usize; 2])]) {
        let before = self.begun();
        wait_until_every(Duration::from_millis(20), awaited, || {
            let steps = self.begun().into_values().map(|begun| begun[0] as u64);
            if self.messages / 2 < steps.sum::<u64>() + 300 {
                self.publish();
            }
            let begun = self.begun();
            let of = |begun: &BTreeMap<u32, [usize; 2]>, own| {
                begun.get(&own).copied().unwrap_or_default()
            };
            more.iter().all(|(own, more)| {
                let (before, now) = (of(&before, *own), of(&begun, *own));
                (0..2).all(|it| now[it] >= before[it] + more[it])
            })
        });
    }
}

/// Older members handle the steps of a segment while the newer ones have handled fewer payments of it. So
/// a payment can come after later steps, but never before earlier ones. When all older members have left,
/// the messages of both topics come in their order.
pub fn a_topic_is_added_while_older_members_are_at_work<D: Database + Send + 'static>() {
    let (database, connect) = connector::<D>();
    let mut deployment = Deployment::<D> {
        bus: database.connect(),
        messages: 0,
        log: Arc::default(),
    };
    let log = Arc::clone(&deployment.log);
    let older = [0, 1].map(|own| start::<Steps, _>(connect.clone(), &log, own));
    let both_work = [(0, [40, 0]), (1, [40, 0])];
    deployment.publish_until_begun("the older members work", &both_work);

    let newer = [start::<Both, _>(connect.clone(), &log, 2)];
    let all_work = [(0, [20, 0]), (1, [20, 0]), (2, [20, 20])];
    deployment.publish_until_begun("a newer member works beside them", &all_work);

    let [first, second] = older;
    has_ended_well(first);
    let newer = newer
        .into_iter()
        .chain([start::<Both, _>(connect, &log, 3)]);
    let newer: Vec<_> = newer.collect();
    let rest_work = [(1, [20, 0]), (2, [20, 20]), (3, [20, 20])];
    deployment.publish_until_begun("newer members work beside an older one", &rest_work);

    has_ended_well(second);
    let left_at = deployment.messages;
    let newer_work = [(2, [20, 20]), (3, [20, 20])];
    deployment.publish_until_begun("the newer members work", &newer_work);
    wait_until("everything is handled", || {
        log.different() == deployment.messages
    });
    for member in newer {
        has_ended_well(member);
    }
    check(&log.records(), deployment.messages, left_at);
}

/// Checks that each message came once, and in which order those of an order came.
fn check(records: &[Record], messages: u64, left_at: u64) {
    let mut numbers: Vec<_> = records.iter().map(|it| it.number).collect();
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..messages), "not each once");
    for order in 0..KEYS {
        let of_order = records.iter().filter(|it| it.order == order);
        let of_order: Vec<_> = of_order.collect();
        let all: Vec<_> = of_order.iter().map(|it| it.number).collect();
        let (payments, steps): (Vec<_>, Vec<_>) = all.iter().partition(|it| *it % 2 == 1);
        assert!(payments.is_sorted(), "payments of {order}: {payments:?}");
        assert!(steps.is_sorted(), "steps of {order}: {steps:?}");
        let mut missing: BTreeSet<u64> = steps.into_iter().collect();
        for number in &all {
            let first = missing.first();
            let is_early = number % 2 == 1 && first.is_some_and(|step| step < number);
            assert!(!is_early, "payment {number} before step {first:?}: {all:?}");
            missing.remove(number);
        }
        let late = all.iter().filter(|it| **it >= left_at);
        assert!(late.is_sorted(), "both of {order}: {all:?}");
    }
}
