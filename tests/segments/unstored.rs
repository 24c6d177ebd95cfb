//! A consumer that reads two topics, and loses its connection. It stores the cursors of what it has
//! handled on the next connection, so nothing is handled again.

use std::collections::BTreeSet;
use std::sync::Arc;

use persisting_message_bus::backend::{MessageConsumerState, MessageSource};
use persisting_message_bus::memory::InMemoryMessageBus;
use persisting_message_bus::operate::ConsumerKey;
use persisting_message_bus::{Message, MessageConsumer, MessageDispatcher};

use super::begun::Log;
use super::disturbed::{Disturbance, Plan};
use super::key;
use super::records::{Published, Verdict, add, judge_topics};
use super::topic::{Both, Orders, Paid, Payments, Step};
use super::two_topics::reader;

/// A consumer with fewer calls would show that its calls are not seen.
const AT_LEAST: usize = 15;

/// Steps have even numbers, and payments odd ones.
const MESSAGES: u64 = 12;

/// Only one call fails, so the consumer needs few attempts.
const ATTEMPTS: usize = 5;

fn order_of(number: u64) -> u64 {
    number / 2 % 3
}

fn publish(bus: &mut InMemoryMessageBus) {
    for number in (0..MESSAGES).step_by(2) {
        let order = order_of(number);
        MessageDispatcher::<Orders>::new()
            .dispatch(bus, &Step { order, number })
            .unwrap();
        let number = number + 1;
        MessageDispatcher::<Payments>::new()
            .dispatch(bus, &Paid { order, number })
            .unwrap();
    }
}

/// Loses the connection at this call. Returns whether the consumer made so many calls.
fn lose(disturbance: Disturbance, at: usize) -> bool {
    let mut bus = InMemoryMessageBus::default();
    publish(&mut bus);
    let log = Arc::<Log>::default();
    let nothing = |_: &mut InMemoryMessageBus| ();
    let plan = Plan::new(disturbance, at, bus, Box::new(nothing));
    let (mut bus, mut consumer) = (plan.disturb(), reader(1, &log));
    let attempts = 0..ATTEMPTS;
    let failed = attempts.take_while(|_| consumer.handle_new_messages(&mut bus).is_err());
    assert!(failed.count() < ATTEMPTS, "{disturbance:?} at {at}");
    let mut published = Published::new();
    add(&mut published, (0..MESSAGES).map(|it| (order_of(it), it)));
    let payments: BTreeSet<_> = (1..MESSAGES).step_by(2).collect();
    let verdict = judge_topics(&log.records(), &published, &payments, &[]);
    assert_eq!(verdict, Verdict::default());
    plan.has_happened()
}

/// Loses the connection at the first call, at the second one, and so on.
fn lose_at_each_call(disturbance: Disturbance) {
    let calls = (1..).find(|at| !lose(disturbance, *at)).unwrap();
    assert!(calls > AT_LEAST, "only {calls} calls");
}

#[test]
fn nothing_is_repeated_after_a_call_was_refused() {
    lose_at_each_call(Disturbance::Refused);
}

#[test]
fn nothing_is_repeated_after_an_answer_was_lost() {
    lose_at_each_call(Disturbance::Unanswered);
}

/// Another process takes the lease on the first topic while a page is at work. The second topic has a lease of
/// its own, so its cursor is stored.
#[test]
fn a_lease_that_is_lost_on_one_topic_repeats_nothing_on_the_other() {
    let mut bus = InMemoryMessageBus::default();
    publish(&mut bus);
    let (log, mut other) = (Arc::<Log>::default(), bus.clone());
    let noted = Arc::clone(&log);
    let mut consumer = MessageConsumer::<Both>::external("all", move |message: &Message<Both>| {
        noted.note(1, message);
        if noted.different() == 1 {
            assert!(other.end_lease(key("all"))?);
        }
        Ok(())
    });
    let lost = consumer.handle_page(&mut bus).unwrap_err();
    assert!(lost.is_lease_lost(), "{lost:#}");
    let of_payments = ConsumerKey {
        topic: "payments",
        ..key("all")
    };
    let end = bus.current_head("payments").unwrap();
    let cursor =
        |bus: &mut InMemoryMessageBus, key| bus.stored_consumer(key).unwrap().unwrap().cursor;
    assert_eq!(cursor(&mut bus, of_payments), Some(end));
    assert_eq!(cursor(&mut bus, key("all")), None);
}
