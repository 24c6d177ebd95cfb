//! The effects of redriven messages, and their state after each outcome of a handler.

use std::cell::RefCell;
use std::sync::Barrier;
use std::thread;

use persisting_message_bus::backend::MessageRepository;
use persisting_message_bus::operate::FailureState;
use persisting_message_bus::{Error, FailurePolicy, Message, MessageConsumer, OnUnknown};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::topics::Orders;

use super::{count_parked, paid, park_all, pay, redrive_all, redriven};
use crate::consuming::raw;
use crate::failing::{after, failed, place};
use crate::ignore;

pub fn messages_redriven_twice_are_handled_once<D: Database>() {
    let (database, mut bus) = place::<D>(1..6);
    park_all(&mut bus);
    let start = Barrier::new(4);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut bus = database.connect();
                let mut consumer = MessageConsumer::<Orders>::transactional("all", pay::<D::Bus>);
                start.wait();
                redrive_all(&mut bus);
                for _ in 0..3 {
                    match consumer.handle_page(&mut bus) {
                        Ok(_) => {}
                        Err(error) => assert!(error.is_retryable(), "{error:?}"),
                    }
                }
            });
        }
    });
    let mut consumer = MessageConsumer::<Orders>::transactional("all", pay::<D::Bus>);
    while consumer.handle_page(&mut bus).unwrap() > 0 {}
    assert_eq!(paid(&mut bus), [1, 2, 3, 4, 5]);
}

pub fn effects_of_a_redriven_message_are_rolled_back_when_it_fails<D: Database>() {
    let (_database, mut bus) = redriven::<D>(1..4);
    let mut consumer = MessageConsumer::<Orders>::transactional(
        "all",
        |bus: &mut D::Bus, message: &Message<Orders>| {
            pay(bus, message)?;
            match message.payload().order() {
                2 => Err("no money".into()),
                _ => Ok(()),
            }
        },
    );
    assert_eq!(consumer.handle_page(&mut bus).unwrap(), 2);
    assert_eq!(paid(&mut bus), [1, 3]);
    assert_eq!(count_parked(&mut bus), 1);
}

pub fn a_redriven_message_is_parked_again_when_it_fails<D: Database>() {
    let (_database, mut bus) = redriven::<D>(1..4);
    let handled = RefCell::new(Vec::new());
    let mut consumer = MessageConsumer::<Orders>::external("all", |message: &Message<Orders>| {
        let order = message.payload().order();
        handled.borrow_mut().push(order);
        match order {
            2 => Err("still closed".into()),
            _ => Ok(()),
        }
    })
    // A redriven message gets one attempt, whatever `max_attempts` is.
    .retry(after(9, FailurePolicy::Stop));
    assert_eq!(consumer.handle_page(&mut bus).unwrap(), 2);
    assert_eq!(consumer.handle_page(&mut bus).unwrap(), 0);
    assert_eq!(*handled.borrow(), [1, 2, 3]);
    let parked = failed(&mut bus, "all", FailureState::Parked);
    assert_eq!(parked.len(), 1);
    assert_eq!((parked[0].position.get(), parked[0].attempts), (2, 2));
    assert!(parked[0].error.ends_with("still closed"), "{parked:?}");
}

pub fn a_redriven_message_stays_redriven_when_its_handler_fails_transiently<D: Database>() {
    let (_database, mut bus) = redriven::<D>(1..2);
    let mut deadlocks = 1;
    let mut consumer =
        MessageConsumer::transactional("all", move |_: &mut D::Bus, _: &Message<Orders>| {
            deadlocks -= 1;
            match deadlocks {
                0 => Err(Error::transient("booking", "deadlock").into()),
                _ => Ok(()),
            }
        });
    let error = consumer.handle_page(&mut bus).unwrap_err();
    assert!(error.is_retryable(), "{error:?}");
    assert_eq!(failed(&mut bus, "all", FailureState::Redriven).len(), 1);
    assert_eq!(consumer.handle_page(&mut bus).unwrap(), 1);
}

pub fn a_redriven_unknown_message_is_skipped_when_on_unknown_is_skip<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    bus.persist(&[raw("OrderLost", "{}")], Default::default())
        .unwrap();
    park_all(&mut bus);
    redrive_all(&mut bus);
    let mut skipping =
        MessageConsumer::<Orders>::external("all", ignore).on_unknown(OnUnknown::Skip);
    skipping.handle_page(&mut bus).unwrap();
    assert_eq!(skipping.skipped_messages(), 1);
    assert_eq!(count_parked(&mut bus), 0);
}
