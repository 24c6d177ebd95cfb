//! An operator moves the cursors of a segment that fails, at any step of the consumer's threads.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use persisting_message_bus::backend::MessageSource;
use persisting_message_bus::memory::InMemoryMessageBus;
use persisting_message_bus::{
    MessageConsumer, MessageDispatcher, ParallelConsumer, RetryPolicy, Runner, StartAt,
};

use super::disturbed::{Disturbance, Plan};
use super::running::has_ended_well;
use super::segments;
use super::topic::{Orders, Step};

/// Until then, all segments but one have reached the end, and that one has stopped.
const CALLS: usize = 40;

/// Longer than a test waits, so that it fails if a lease must expire.
const LEASE: Duration = Duration::from_secs(120);

/// Lets an operator move the cursors as soon as that is possible from this call on.
fn move_cursors(to: StartAt, at: usize) {
    let mut bus = InMemoryMessageBus::default();
    let steps = (0..12).map(|number| Step {
        order: number % 5,
        number,
    });
    MessageDispatcher::<Orders>::new()
        .dispatch_batch(&mut bus, steps)
        .unwrap();
    // A message that fails is handled only after the operator has moved the cursors.
    let is_mended = Arc::new(AtomicBool::new(false));
    let mended = Arc::clone(&is_mended);
    let make = move || {
        let mended = Arc::clone(&mended);
        MessageConsumer::<Orders>::external("all", move |message| {
            let fails = message.payload().number() == 7 && !mended.load(Ordering::SeqCst);
            if fails {
                return Err("a poisonous step".into());
            }
            Ok(())
        })
        .page_size(3)
        .lease_duration(LEASE)
        .retry(RetryPolicy::default().max_attempts(1))
    };
    let parallel = || {
        ParallelConsumer::by_key(make.clone())
            .segments(3)
            .threads(2)
    };
    let (mut operator, mut has_moved) = (parallel(), false);
    let operate = move |bus: &mut InMemoryMessageBus| {
        if has_moved {
            return;
        }
        is_mended.store(true, Ordering::SeqCst);
        has_moved = operator.reset(bus, to).is_ok();
        is_mended.store(has_moved, Ordering::SeqCst);
    };
    let plan = Plan::new(Disturbance::Operated, at, bus.clone(), Box::new(operate));
    let disturbed = plan.disturb();
    let running = Runner::new(move || Ok::<_, io::Error>(disturbed.clone()))
        .idle_interval(Duration::from_millis(5))
        .parallel(parallel())
        .start();
    let told = running.caught_up_within(Duration::from_secs(60));
    assert!(told.is_ok(), "{to:?} at call {at}: {told:?}");
    has_ended_well(running);
    let end = bus.current_head("orders").unwrap();
    for row in segments(&mut bus, "all") {
        assert_eq!(row.cursor, Some(end), "{to:?} at call {at}: {row:?}");
    }
    assert!(plan.has_happened());
}

#[test]
fn a_segment_goes_on_where_an_operator_moves_it_at_any_call() {
    for to in [StartAt::End, StartAt::Start] {
        (1..=CALLS).for_each(|at| move_cursors(to, at));
    }
}
