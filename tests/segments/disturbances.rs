//! Leases that are lost, and connections that are lost, between any two steps of the threads of a
//! consumer that is divided.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use persisting_message_bus::backend::MessageSource;
use persisting_message_bus::handler::{External, HandlerError};
use persisting_message_bus::memory::InMemoryMessageBus;
use persisting_message_bus::operate::{
    ConsumerCondition, ConsumerStatus, FailureState, MessageFailures,
};
use persisting_message_bus::{
    Message, MessageConsumer, MessageDispatcher, ParallelConsumer, RetryPolicy, Runner,
};

use super::begun::Log;
use super::disturbed::{Disturbance, Plan};
use super::records::{Published, add, judge};
use super::running::has_ended_well;
use super::topic::{Orders, Step};
use super::{division, key, segments};

/// A process whose calls are disturbed, and another one.
const FIRST: u32 = 1;
const OTHER: u32 = 2;

/// The number of segments at first, and after a change.
const SEGMENTS: u16 = 3;
const AFTERWARDS: u16 = 4;

/// A consumer with fewer calls would show that its calls are not seen.
const AT_LEAST: usize = 15;

/// Longer than a test waits, so that it fails if a lease must expire.
const LEASE: Duration = Duration::from_secs(120);

const PAGE: usize = 3;

type Handler = Box<dyn FnMut(&Message<Orders>) -> Result<(), HandlerError> + Send>;

/// Returns the consumer "all" of a process, which records the messages that it begins.
fn member(process: u32, log: &Arc<Log>) -> ParallelConsumer<Orders, External<Handler>> {
    let log = Arc::clone(log);
    let make = move || {
        let log = Arc::clone(&log);
        let handler: Handler = Box::new(move |message| {
            log.note(process, message);
            Ok(())
        });
        MessageConsumer::external("all", handler)
            .page_size(PAGE)
            .lease_duration(LEASE)
            .time_slice(Duration::from_millis(20))
    };
    ParallelConsumer::by_key(make).segments(SEGMENTS).threads(2)
}

fn publish(bus: &mut InMemoryMessageBus, published: &mut Published, numbers: std::ops::Range<u64>) {
    let steps = numbers.map(|number| Step {
        order: number % 5,
        number,
    });
    add(published, steps.clone().map(|it| (it.order, it.number)));
    MessageDispatcher::<Orders>::new()
        .dispatch_batch(bus, steps)
        .unwrap();
}

/// Disturbs a consumer at this call. Returns whether it made so many calls.
fn disturb(disturbance: Disturbance, at: usize, is_resized: bool) -> bool {
    let mut bus = InMemoryMessageBus::default();
    let (log, mut published) = (Arc::<Log>::default(), Published::new());
    let mut other = member(OTHER, &log);
    publish(&mut bus, &mut published, 0..30);
    if is_resized {
        other.handle_new_messages(&mut bus).unwrap();
        publish(&mut bus, &mut published, 30..40);
        assert!(other.resize(&mut bus, AFTERWARDS).unwrap());
        publish(&mut bus, &mut published, 40..60);
    }
    let take_over = move |bus: &mut InMemoryMessageBus| {
        // A thread may take a segment at this moment.
        if let Err(error) = other.handle_new_messages(bus) {
            assert!(error.is_retryable() || error.is_lease_held(), "{error:#}");
        }
    };
    let plan = Plan::new(disturbance, at, bus.clone(), Box::new(take_over));
    let disturbed = plan.disturb();
    let running = Runner::new(move || Ok::<_, io::Error>(disturbed.clone()))
        .idle_interval(Duration::from_millis(5))
        .retry(RetryPolicy::default().initial_delay(Duration::ZERO))
        .parallel(member(FIRST, &log))
        .start();
    running.caught_up_within(Duration::from_secs(60)).unwrap();
    let has_happened = plan.has_happened();
    has_ended_well(running);
    plan.give_back();
    let verdict = judge(&log.records(), &published, &[FIRST]);
    // The thread that is disturbed begins no other message. The other thread can have a page in hand.
    let is_taken = disturbance == Disturbance::TakenOver;
    let most = if is_taken { PAGE } else { 0 };
    let late: usize = verdict.late.values().sum();
    assert!(late <= most, "{disturbance:?} at {at}: {verdict:?}");
    let expected = if is_resized { AFTERWARDS } else { SEGMENTS };
    check_rest(&mut bus, expected);
    has_happened
}

/// Checks that nothing waits, and nothing has failed.
fn check_rest(bus: &mut InMemoryMessageBus, expected: u16) {
    let stored = division(bus, "all").unwrap();
    assert_eq!((stored.segments, stored.resize), (expected, None));
    let end = bus.current_head("orders").unwrap();
    for row in segments(bus, "all") {
        assert_eq!(row.cursor, Some(end), "{row:?}");
        assert_eq!(row.work, None, "{row:?}");
    }
    let states = [
        FailureState::Failing,
        FailureState::Stopped,
        FailureState::Parked,
        FailureState::Redriven,
        FailureState::Unknown,
        FailureState::Final,
    ];
    for state in states {
        assert_eq!(bus.count_failed(key("all"), state).unwrap(), 0);
    }
    let status = ConsumerStatus::read(bus, key("all")).unwrap();
    assert_eq!(status.condition, ConsumerCondition::CaughtUp, "{status:?}");
    assert_eq!(status.lag_messages, 0);
}

/// Disturbs a consumer at its first call, at its second one, and so on.
fn disturb_each_call(disturbance: Disturbance) {
    for is_resized in [false, true] {
        let calls = (1..)
            .find(|at| !disturb(disturbance, *at, is_resized))
            .unwrap();
        assert!(calls > AT_LEAST, "only {calls} calls");
    }
}

#[test]
fn a_consumer_goes_on_after_another_process_took_over() {
    disturb_each_call(Disturbance::TakenOver);
}

#[test]
fn a_consumer_goes_on_after_another_process_held_its_segments() {
    disturb_each_call(Disturbance::Held);
}

#[test]
fn a_consumer_goes_on_after_a_call_was_refused() {
    disturb_each_call(Disturbance::Refused);
}

#[test]
fn a_consumer_goes_on_after_an_answer_was_lost() {
    disturb_each_call(Disturbance::Unanswered);
}
