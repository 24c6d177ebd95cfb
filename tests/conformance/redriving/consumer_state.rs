//! The state of a consumer that redrives: its status, pause, resets and writes.

use std::cell::{Cell, RefCell};

use persisting_message_bus::backend::MessageConsumerState;
use persisting_message_bus::operate::{ConsumerCondition, ConsumerStatus};
use persisting_message_bus::{Message, MessageConsumer, StartAt};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::topics::Orders;

use super::{redrive_all, redriven, refuse_second};
use crate::failing::place;
use crate::{CONSUMER, consume, ignore, stored_consumer};

pub fn a_redriven_message_shows_in_the_status<D: Database>() {
    let (_database, mut bus) = redriven::<D>(1..4);
    let status = ConsumerStatus::read(&mut bus, CONSUMER).unwrap();
    assert_ne!(
        status.condition,
        ConsumerCondition::CaughtUp,
        "a redriven message waits: {status:?}"
    );
}

pub fn a_pause_ends_a_long_redrive<D: Database>() {
    let (database, mut bus) = redriven::<D>(1..301);
    let mut operator = database.connect();
    let handled = Cell::new(0);
    let mut consumer = MessageConsumer::<Orders>::external("all", |_: &Message<Orders>| {
        if handled.replace(handled.get() + 1) == 0 {
            operator.pause(CONSUMER)?;
        }
        Ok(())
    })
    .page_size(10);
    consumer.handle_page(&mut bus).unwrap();
    drop(consumer);
    assert!(
        handled.get() <= 100,
        "more than a page of 100 was handled: {}",
        handled.get()
    );
}

pub fn a_message_redriven_after_a_replay_is_a_replay<D: Database>() {
    let (_database, mut bus) = place::<D>(1..4);
    assert_eq!(consume(&mut bus, "all"), [1, 2, 3]);
    MessageConsumer::<Orders>::external("all", ignore)
        .reset(&mut bus, StartAt::Start)
        .unwrap();
    refuse_second(&mut bus);
    redrive_all(&mut bus);
    let seen = RefCell::new(Vec::new());
    let mut consumer = MessageConsumer::<Orders>::external("all", |message: &Message<Orders>| {
        seen.borrow_mut()
            .push((message.payload().order(), message.is_replay()));
        Ok(())
    });
    consumer.handle_page(&mut bus).unwrap();
    drop(consumer);
    assert_eq!(
        seen.into_inner(),
        [(2, true)],
        "the message was handled before the reset"
    );
}

pub fn a_new_process_writes_nothing_when_it_has_caught_up<D: Database>() {
    let (_database, mut bus) = place::<D>(1..4);
    refuse_second(&mut bus);
    redrive_all(&mut bus);
    assert_eq!(consume(&mut bus, "all"), [2]);
    let epoch = |bus: &mut D::Bus| stored_consumer(bus, CONSUMER).lease_epoch;
    let before = epoch(&mut bus);
    for _ in 0..3 {
        assert!(consume(&mut bus, "all").is_empty());
    }
    assert_eq!(epoch(&mut bus), before);
}
