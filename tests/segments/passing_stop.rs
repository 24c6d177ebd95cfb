//! A thread that has looked before a change of the number of segments handles a message after the position
//! at which they stop. It does so at any step of the process that replaces them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use persisting_message_bus::backend::{
    CursorUpdate, Lease, LeaseRequest, MessageConsumerState, MessageSource, Place, Segment,
};
use persisting_message_bus::handler::External;
use persisting_message_bus::memory::InMemoryMessageBus;
use persisting_message_bus::{Error, Message, MessageConsumer, ParallelConsumer, Position};

use super::begun::{Log, segment_of};
use super::disturbed::{Disturbance, Plan};
use super::handling::{Noted, place};
use super::topic::{Both, KEYS, TOPICS};
use super::{LEASE, division};

/// The messages before the change, and the number of the one after it.
const BEFORE: u64 = 20;

/// The number of segments after the change.
const AFTERWARDS: u16 = 4;

/// The process that replaces the segments.
const PROCESS: u32 = 1;

/// A process that makes fewer calls would show that its calls are not seen.
const AT_LEAST: usize = 15;

/// How often the process looks at most.
const LOOKS: usize = 5;

fn consumer(
    log: &Arc<Log>,
) -> ParallelConsumer<Both, External<impl FnMut(&Message<Both>) -> Noted + use<>>> {
    let log = Arc::clone(log);
    let make = move || {
        let log = Arc::clone(&log);
        MessageConsumer::<Both>::external("all", move |message: &Message<Both>| {
            log.note(PROCESS, message);
            Ok(())
        })
    };
    ParallelConsumer::by_key(make).segments(2)
}

fn take(
    bus: &mut impl MessageConsumerState,
    topic: &str,
    segment: &Segment,
) -> Result<Lease, Error> {
    bus.acquire(&LeaseRequest {
        consumer: "all",
        topic,
        segment: Some(segment),
        owner: "a thread",
        duration: LEASE,
        identity: Default::default(),
        hands_out: false,
    })
}

/// Handles the message after the position, if the leases of its segment are free on all topics. Returns
/// whether they were.
fn pass(bus: &mut impl MessageConsumerState, segment: &Segment, end: Position) -> bool {
    let mut leases = Vec::new();
    for topic in TOPICS {
        let Ok(lease) = take(bus, topic, segment) else {
            for lease in &leases {
                bus.release(lease).unwrap();
            }
            return false;
        };
        leases.push(lease);
    }
    for lease in &leases {
        let place = Place {
            cursor: Some(end),
            ..lease.place()
        };
        let update = CursorUpdate {
            place,
            extend_lease: None,
        };
        bus.store_cursor(lease, &update).unwrap();
    }
    true
}

/// Lets the thread pass the position before this call. Returns whether the process made so many calls.
fn pass_at(at: usize) -> bool {
    let mut bus = InMemoryMessageBus::default();
    let log = Arc::<Log>::default();
    let mut process = consumer(&log);
    place(&mut bus, 0..BEFORE);
    process.handle_new_messages(&mut bus).unwrap();
    assert!(process.resize(&mut bus, AFTERWARDS).unwrap());
    place(&mut bus, BEFORE..BEFORE + 1);
    let former = division(&mut bus, "all").unwrap();
    let segment = former.segment("all", segment_of(former, BEFORE % KEYS));
    let end = bus.current_head("orders").unwrap();
    let (mut tries, has_passed) = (1.., Arc::<AtomicBool>::default());
    let passed = Arc::clone(&has_passed);
    let thread = move |bus: &mut InMemoryMessageBus| {
        if tries.next() == Some(1) {
            passed.store(pass(bus, &segment, end), Ordering::SeqCst);
        }
    };
    let plan = Plan::new(Disturbance::Operated, at, bus.clone(), Box::new(thread));
    let mut disturbed = plan.disturb();
    let mut looks = 0..LOOKS;
    while division(&mut bus, "all").unwrap().segments != AFTERWARDS {
        looks.next().expect("the segments are replaced");
        process.handle_new_messages(&mut disturbed).unwrap();
    }
    process.handle_new_messages(&mut bus).unwrap();
    let by_thread = u64::from(has_passed.load(Ordering::SeqCst));
    assert_eq!(log.different() + by_thread, BEFORE + 1, "at call {at}");
    assert_eq!(log.records().len() as u64, log.different(), "at call {at}");
    plan.has_happened()
}

/// Replays `where_cursors_are_not_checked_again`: the process has seen that all cursors have stopped, and
/// one passes the position before its lease is taken.
#[test]
fn a_message_after_the_stop_is_handled_once_at_any_call() {
    let calls = (1..).find(|at| !pass_at(*at)).unwrap();
    assert!(calls > AT_LEAST, "only {calls} calls");
}
