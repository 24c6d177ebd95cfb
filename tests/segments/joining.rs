//! Many members that join at once.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use persisting_message_bus::backend::{MessageConsumerState, MessageSource};
use persisting_message_bus::operate::RunHandle;
use persisting_message_bus::{ParallelConsumer, Runner};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::waiting::{wait_until, wait_until_every};

use super::begun::{Log, holders, member, publish, published};
use super::records::{Verdict, judge};
use super::running::has_ended_well;
use super::topic::Steps;
use super::{connector, division};

const MEMBERS: u32 = 8;

/// Four for each thread.
const SEGMENTS: u16 = 4 * MEMBERS as u16;

/// So many that each segment has messages.
const ORDERS: u64 = 400;

/// Starts a member with one thread.
fn start<B>(connect: impl Fn() -> B + Send + Sync + 'static, log: Arc<Log>, own: u32) -> RunHandle
where
    B: MessageSource + MessageConsumerState + Send + 'static,
{
    let make = move || member::<Steps>(&log, own, Duration::from_millis(2));
    Runner::new(move || Ok::<_, io::Error>(connect()))
        .idle_interval(Duration::from_millis(50))
        .parallel(ParallelConsumer::by_key(make).segments(SEGMENTS).threads(1))
        .start()
}

/// None of them has divided the consumer before.
pub fn eight_members_that_join_at_once_share_the_segments<D: Database + Send + 'static>() {
    let (database, connect) = connector::<D>();
    let mut bus = database.connect();
    let log = Arc::<Log>::default();
    let mut messages = 400;
    publish(&mut bus, 0..messages, ORDERS);
    let at_once = Barrier::new(MEMBERS as usize);
    let members: Vec<_> = thread::scope(|scope| {
        let join = |own| {
            let (connect, log, at_once) = (connect.clone(), Arc::clone(&log), &at_once);
            scope.spawn(move || {
                at_once.wait();
                start(connect, log, own)
            })
        };
        let joining: Vec<_> = (0..MEMBERS).map(join).collect();
        let joined = joining.into_iter().map(|it| it.join().unwrap());
        joined.collect()
    });
    let interval = Duration::from_millis(20);
    wait_until_every(interval, "all members handle messages", || {
        if messages < log.different() + 400 {
            publish(&mut bus, messages..messages + 40, ORDERS);
            messages += 40;
        }
        (0..MEMBERS).all(|it| log.count_of(it) >= 20)
    });
    wait_until("everything is handled", || log.different() == messages);
    for member in members {
        has_ended_well(member);
    }
    let published = published(messages, ORDERS);
    let verdict = judge(&log.records(), &published, &[]);
    assert_eq!(verdict, Verdict::default());
    let division = division(&mut bus, "all").unwrap();
    let holders = holders(&log.all(), division);
    let segments: BTreeSet<u16> = holders.keys().map(|(segment, _)| *segment).collect();
    assert!(segments.into_iter().eq(0..SEGMENTS), "{holders:?}");
}
