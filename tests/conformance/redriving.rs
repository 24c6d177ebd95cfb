use std::cell::{Cell, RefCell};
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use persisting_message_bus::{
    Error, FailureState, GiveUp, HandlerError, LeaseRequest, Message, MessageConsumer,
    MessageConsumerState, MessageDispatcher, MessageFailures, MessageRepository, Parked, Position,
    Retry,
};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::topics::{
    OrderPlaced, OrderShipped, Orders, Paid, Payments, Tripwire, Tripwires,
};

use super::consuming::raw;
use super::failing::{after, failed, place};
use super::hazards::refuse_second;
use super::{TestBus, consume, ignore, orders};

/// Parks every order of the consumer "all".
pub fn park_all(bus: &mut impl TestBus) {
    let refuse = |_: &Message<Orders>| -> Result<(), HandlerError> { Err("closed".into()) };
    let mut consumer =
        MessageConsumer::<Orders>::external("all", refuse).retry(after(1, GiveUp::Park));
    while consumer.handle_new_messages(bus).unwrap() > 0 {}
    let stored = super::stored(bus, "orders").len();
    assert_eq!(bus.count_parked("all", "orders").unwrap(), stored as u64);
}

pub fn what_the_bus_may_do_when_it_is_asked_again_stays_redriven<D: Database>() {
    let (_database, mut bus) = place::<D>(1..2);
    park_all(&mut bus);
    bus.redrive("all", "orders", Parked::All).unwrap();
    let mut deadlocks = 1;
    let mut consumer =
        MessageConsumer::transactional("all", move |_: &mut D::Bus, _: &Message<Orders>| {
            deadlocks -= 1;
            match deadlocks {
                0 => Err(Error::repository("booking", "deadlock", true).into()),
                _ => Ok(()),
            }
        });
    let error = consumer.handle_new_messages(&mut bus).unwrap_err();
    assert!(error.is_retryable(), "{error:?}");
    assert_eq!(failed(&mut bus, "all", FailureState::Redriven).len(), 1);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 1);
}

/// Replays the control `where_a_redriven_message_is_taken_without_the_lease` of the model of leases: a late
/// statement of an earlier holder must not take the note of a message that was parked and redriven
/// again since.
pub fn who_has_lost_the_lease_takes_no_redriven_message<D: Database>() {
    let (_database, mut bus) = place::<D>(1..2);
    park_all(&mut bus);
    bus.redrive("all", "orders", Parked::All).unwrap();
    let (first, hold) = (Position::new(1), Duration::from_secs(30));
    let mut acquire = |owner| {
        let request = LeaseRequest {
            consumer: "all",
            topic: "orders",
            owner,
            duration: Duration::ZERO,
        };
        bus.acquire(&request).unwrap()
    };
    let (late, next) = (acquire("late"), acquire("next"));
    for error in [
        bus.is_redriven(&late, first, hold).unwrap_err(),
        bus.take_redriven(&late, first, hold).unwrap_err(),
    ] {
        assert!(error.is_lease_lost(), "{error:?}");
    }
    assert_eq!(failed(&mut bus, "all", FailureState::Redriven).len(), 1);
    assert!(bus.is_redriven(&next, first, hold).unwrap());
    assert!(bus.take_redriven(&next, first, hold).unwrap());
    assert!(!bus.take_redriven(&next, first, hold).unwrap());
}

pub fn what_is_redriven_comes_in_order_and_before_what_is_new<D: Database>() {
    let (_database, mut bus) = place::<D>(1..6);
    park_all(&mut bus);
    orders()
        .dispatch(&mut bus, &OrderPlaced::number(6))
        .unwrap();
    assert_eq!(bus.redrive("all", "orders", Parked::All).unwrap(), 5);
    assert_eq!(bus.count_parked("all", "orders").unwrap(), 0);
    assert_eq!(consume(&mut bus, "all"), [1, 2, 3, 4, 5, 6]);
    for state in [FailureState::Parked, FailureState::Redriven] {
        assert!(failed(&mut bus, "all", state).is_empty());
    }
}

pub fn one_message_or_one_type_can_be_redriven<D: Database>() {
    let (_database, mut bus) = place::<D>(1..4);
    orders()
        .dispatch(&mut bus, &OrderShipped { order: 4 })
        .unwrap();
    park_all(&mut bus);
    let second = Parked::At(Position::new(2));
    assert_eq!(bus.redrive("all", "orders", second).unwrap(), 1);
    assert_eq!(consume(&mut bus, "all"), [2]);
    assert_eq!(bus.redrive("all", "orders", second).unwrap(), 0);
    assert_eq!(bus.redrive("other", "orders", Parked::All).unwrap(), 0);
    assert_eq!(bus.redrive("all", "payments", Parked::All).unwrap(), 0);
    let shipped = Parked::OfType("OrderShipped");
    assert_eq!(bus.redrive("all", "orders", shipped).unwrap(), 1);
    assert_eq!(consume(&mut bus, "all"), [4]);
    assert_eq!(bus.count_parked("all", "orders").unwrap(), 2);
}

pub fn what_was_discarded_does_not_come_again<D: Database>() {
    let (_database, mut bus) = place::<D>(1..4);
    park_all(&mut bus);
    let second = Parked::At(Position::new(2));
    assert_eq!(bus.discard("all", "orders", second).unwrap(), 1);
    assert_eq!(bus.redrive("all", "orders", Parked::All).unwrap(), 2);
    assert_eq!(consume(&mut bus, "all"), [1, 3]);
}

pub fn what_fails_again_is_parked_again<D: Database>() {
    let (_database, mut bus) = place::<D>(1..4);
    park_all(&mut bus);
    bus.redrive("all", "orders", Parked::All).unwrap();
    let handled = RefCell::new(Vec::new());
    let mut consumer = MessageConsumer::<Orders>::external("all", |message: &Message<Orders>| {
        let order = message.payload().order();
        handled.borrow_mut().push(order);
        match order {
            2 => Err("still closed".into()),
            _ => Ok(()),
        }
    })
    // Redriven messages get one attempt, however many others get.
    .retry(after(9, GiveUp::Stop));
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 2);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 0);
    assert_eq!(*handled.borrow(), [1, 2, 3]);
    let parked = failed(&mut bus, "all", FailureState::Parked);
    assert_eq!(parked.len(), 1);
    assert_eq!((parked[0].position.get(), parked[0].attempts), (2, 2));
    assert!(parked[0].error.ends_with("still closed"), "{parked:?}");
}

/// The effect: a payment for each order.
pub fn pay<B: MessageRepository>(
    bus: &mut B,
    message: &Message<Orders>,
) -> Result<(), HandlerError> {
    let order = message.payload().order();
    MessageDispatcher::<Payments>::new().dispatch(bus, &Paid { order })?;
    Ok(())
}

fn paid(bus: &mut impl TestBus) -> Vec<u64> {
    super::stored(bus, "payments")
        .into_iter()
        .map(|(_, raw)| serde_json::from_str::<Paid>(&raw.payload).unwrap().order)
        .collect()
}

pub fn redriving_twice_handles_once<D: Database>() {
    let (database, mut bus) = place::<D>(1..6);
    park_all(&mut bus);
    let start = Barrier::new(4);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut bus = database.connect();
                let mut consumer = MessageConsumer::<Orders>::transactional("all", pay::<D::Bus>);
                start.wait();
                bus.redrive("all", "orders", Parked::All).unwrap();
                for _ in 0..3 {
                    match consumer.handle_new_messages(&mut bus) {
                        Ok(_) => {}
                        Err(error) => assert!(error.is_retryable(), "{error:?}"),
                    }
                }
            });
        }
    });
    let mut consumer = MessageConsumer::<Orders>::transactional("all", pay::<D::Bus>);
    while consumer.handle_new_messages(&mut bus).unwrap() > 0 {}
    assert_eq!(paid(&mut bus), [1, 2, 3, 4, 5]);
}

pub fn a_redriven_effect_that_fails_is_rolled_back<D: Database>() {
    let (_database, mut bus) = place::<D>(1..4);
    park_all(&mut bus);
    bus.redrive("all", "orders", Parked::All).unwrap();
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
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 2);
    assert_eq!(paid(&mut bus), [1, 3]);
    assert_eq!(bus.count_parked("all", "orders").unwrap(), 1);
}

pub fn who_has_lost_the_lease_has_no_redriven_effect<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let tripwires = MessageDispatcher::<Tripwires>::new();
    tripwires.dispatch(&mut bus, &Tripwire {}).unwrap();
    let mut refusing =
        MessageConsumer::<Tripwires>::external("all", |_: &Message<Tripwires>| Err("no".into()))
            .retry(Retry::default().attempts(1).then(GiveUp::Park));
    refusing.handle_new_messages(&mut bus).unwrap();
    bus.redrive("all", "tripwires", Parked::All).unwrap();
    // The lease lasts no time, and is stolen while the message is decoded.
    let handled = Cell::new(0);
    let mut consumer = MessageConsumer::<Tripwires>::transactional(
        "all",
        |_: &mut D::Bus, _: &Message<Tripwires>| {
            handled.set(handled.get() + 1);
            Ok(())
        },
    )
    .lease_duration(std::time::Duration::ZERO);
    let mut other = database.connect();
    Tripwire::on_next_decode(move || super::leases::steal(&mut other, "all", "tripwires"));
    let error = consumer.handle_new_messages(&mut bus).unwrap_err();
    assert!(error.is_lease_lost(), "{error:?}");
    assert_eq!(handled.get(), 0);
    let stored = bus.stored_consumer("all", "tripwires").unwrap().unwrap();
    assert_eq!(stored.lease_owner.as_deref(), Some("thief"));
}

pub fn what_waits_to_be_handled_again_shows<D: Database>() {
    let (_database, mut bus) = place::<D>(1..4);
    park_all(&mut bus);
    bus.redrive("all", "orders", Parked::All).unwrap();
    let status = persisting_message_bus::ConsumerStatus::read(&mut bus, "all", "orders").unwrap();
    assert_ne!(
        status.condition,
        persisting_message_bus::ConsumerCondition::CaughtUp,
        "there is something to do: {status:?}"
    );
}

pub fn a_redriven_unknown_message_is_skipped_where_others_are<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    bus.persist(&[raw("OrderLost", "{}")], Default::default())
        .unwrap();
    park_all(&mut bus);
    bus.redrive("all", "orders", Parked::All).unwrap();
    let mut skipping = MessageConsumer::<Orders>::external("all", ignore)
        .unknown_messages(persisting_message_bus::UnknownMessages::Skip);
    skipping.handle_new_messages(&mut bus).unwrap();
    assert_eq!(skipping.skipped_messages(), 1);
    assert_eq!(bus.count_parked("all", "orders").unwrap(), 0);
}

pub fn what_is_redriven_of_two_topics_comes_in_order<D: Database>() {
    use persisting_message_bus_tests::topics::{Ledger, OrderShipped};
    let database = D::create();
    let mut bus = database.connect();
    for order in 1..4 {
        orders()
            .dispatch(&mut bus, &OrderShipped { order })
            .unwrap();
        MessageDispatcher::<Payments>::new()
            .dispatch(&mut bus, &Paid { order })
            .unwrap();
    }
    let mut refusing = MessageConsumer::<Ledger>::external("all", |_: &Message<Ledger>| {
        Err::<(), HandlerError>("closed".into())
    })
    .retry(after(1, GiveUp::Park));
    while refusing.handle_new_messages(&mut bus).unwrap() > 0 {}
    for topic in ["orders", "payments"] {
        assert_eq!(bus.redrive("all", topic, Parked::All).unwrap(), 3);
    }
    let seen = RefCell::new(Vec::new());
    let mut consumer = MessageConsumer::<Ledger>::external("all", |message: &Message<Ledger>| {
        seen.borrow_mut().push(message.position().get());
        Ok(())
    });
    consumer.handle_new_messages(&mut bus).unwrap();
    drop(consumer);
    assert_eq!(seen.into_inner(), [1, 2, 3, 4, 5, 6]);
}

pub fn a_pause_ends_a_long_redrive<D: Database>() {
    let (database, mut bus) = place::<D>(1..301);
    park_all(&mut bus);
    bus.redrive("all", "orders", Parked::All).unwrap();
    let mut operator = database.connect();
    let handled = Cell::new(0);
    let mut consumer = MessageConsumer::<Orders>::external("all", |_: &Message<Orders>| {
        if handled.replace(handled.get() + 1) == 0 {
            operator.set_paused("all", "orders", true)?;
        }
        Ok(())
    })
    .page_size(10);
    consumer.handle_new_messages(&mut bus).unwrap();
    drop(consumer);
    assert!(
        handled.get() <= 100,
        "a page of 10, or of 100: {}",
        handled.get()
    );
}

pub fn a_new_process_that_has_nothing_to_do_only_reads<D: Database>() {
    let (_database, mut bus) = place::<D>(1..4);
    refuse_second(&mut bus);
    bus.redrive("all", "orders", Parked::All).unwrap();
    assert_eq!(consume(&mut bus, "all"), [2]);
    let epoch = |bus: &mut D::Bus| {
        bus.stored_consumer("all", "orders")
            .unwrap()
            .unwrap()
            .lease_epoch
    };
    let before = epoch(&mut bus);
    for _ in 0..3 {
        assert!(consume(&mut bus, "all").is_empty());
    }
    assert_eq!(epoch(&mut bus), before);
}
