use std::cell::{Cell, RefCell};
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use persisting_message_bus::backend::{LeaseRequest, MessageConsumerState, MessageRepository};
use persisting_message_bus::handler::HandlerError;
use persisting_message_bus::operate::{ConsumerKey, FailureState, MessageFailures, ParkedSelector};
use persisting_message_bus::{
    Error, FailurePolicy, Message, MessageConsumer, MessageDispatcher, Position, RetryPolicy,
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
        MessageConsumer::<Orders>::external("all", refuse).retry(after(1, FailurePolicy::Park));
    while consumer.handle_page(bus).unwrap() > 0 {}
    let stored = super::stored(bus, "orders").len();
    assert_eq!(
        bus.count_parked(ConsumerKey {
            consumer: "all",
            topic: "orders"
        })
        .unwrap(),
        stored as u64
    );
}

pub fn a_redriven_message_stays_redriven_when_its_handler_fails_transiently<D: Database>() {
    let (_database, mut bus) = place::<D>(1..2);
    park_all(&mut bus);
    bus.redrive(
        ConsumerKey {
            consumer: "all",
            topic: "orders",
        },
        ParkedSelector::All,
    )
    .unwrap();
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

/// Replays the control `where_a_redriven_message_is_taken_without_the_lease` of the lease model. A
/// late statement of an earlier holder must not take the record of a message that has since been
/// parked and redriven again.
pub fn a_late_holder_takes_no_redriven_message<D: Database>() {
    let (_database, mut bus) = place::<D>(1..2);
    park_all(&mut bus);
    bus.redrive(
        ConsumerKey {
            consumer: "all",
            topic: "orders",
        },
        ParkedSelector::All,
    )
    .unwrap();
    let (first, extend_lease) = (Position::new(1), Duration::from_secs(30));
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
        bus.is_redriven(&late, first, extend_lease).unwrap_err(),
        bus.take_redriven(&late, first, extend_lease).unwrap_err(),
    ] {
        assert!(error.is_lease_lost(), "{error:?}");
    }
    assert_eq!(failed(&mut bus, "all", FailureState::Redriven).len(), 1);
    assert!(bus.is_redriven(&next, first, extend_lease).unwrap());
    assert!(bus.take_redriven(&next, first, extend_lease).unwrap());
    assert!(!bus.take_redriven(&next, first, extend_lease).unwrap());
}

pub fn redriven_messages_come_in_order_and_before_new_ones<D: Database>() {
    let (_database, mut bus) = place::<D>(1..6);
    park_all(&mut bus);
    orders()
        .dispatch(&mut bus, &OrderPlaced::number(6))
        .unwrap();
    assert_eq!(
        bus.redrive(
            ConsumerKey {
                consumer: "all",
                topic: "orders"
            },
            ParkedSelector::All
        )
        .unwrap(),
        5
    );
    assert_eq!(
        bus.count_parked(ConsumerKey {
            consumer: "all",
            topic: "orders"
        })
        .unwrap(),
        0
    );
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
    let second = ParkedSelector::At(Position::new(2));
    assert_eq!(
        bus.redrive(
            ConsumerKey {
                consumer: "all",
                topic: "orders"
            },
            second
        )
        .unwrap(),
        1
    );
    assert_eq!(consume(&mut bus, "all"), [2]);
    assert_eq!(
        bus.redrive(
            ConsumerKey {
                consumer: "all",
                topic: "orders"
            },
            second
        )
        .unwrap(),
        0
    );
    assert_eq!(
        bus.redrive(
            ConsumerKey {
                consumer: "other",
                topic: "orders"
            },
            ParkedSelector::All
        )
        .unwrap(),
        0
    );
    assert_eq!(
        bus.redrive(
            ConsumerKey {
                consumer: "all",
                topic: "payments"
            },
            ParkedSelector::All
        )
        .unwrap(),
        0
    );
    let shipped = ParkedSelector::OfType("OrderShipped");
    assert_eq!(
        bus.redrive(
            ConsumerKey {
                consumer: "all",
                topic: "orders"
            },
            shipped
        )
        .unwrap(),
        1
    );
    assert_eq!(consume(&mut bus, "all"), [4]);
    assert_eq!(
        bus.count_parked(ConsumerKey {
            consumer: "all",
            topic: "orders"
        })
        .unwrap(),
        2
    );
}

pub fn discarded_messages_are_not_redriven<D: Database>() {
    let (_database, mut bus) = place::<D>(1..4);
    park_all(&mut bus);
    let second = ParkedSelector::At(Position::new(2));
    assert_eq!(
        bus.discard(
            ConsumerKey {
                consumer: "all",
                topic: "orders"
            },
            second
        )
        .unwrap(),
        1
    );
    assert_eq!(
        bus.redrive(
            ConsumerKey {
                consumer: "all",
                topic: "orders"
            },
            ParkedSelector::All
        )
        .unwrap(),
        2
    );
    assert_eq!(consume(&mut bus, "all"), [1, 3]);
}

pub fn a_redriven_message_is_parked_again_when_it_fails<D: Database>() {
    let (_database, mut bus) = place::<D>(1..4);
    park_all(&mut bus);
    bus.redrive(
        ConsumerKey {
            consumer: "all",
            topic: "orders",
        },
        ParkedSelector::All,
    )
    .unwrap();
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

/// Applies the effect of a message: a payment for its order.
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
                bus.redrive(
                    ConsumerKey {
                        consumer: "all",
                        topic: "orders",
                    },
                    ParkedSelector::All,
                )
                .unwrap();
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
    let (_database, mut bus) = place::<D>(1..4);
    park_all(&mut bus);
    bus.redrive(
        ConsumerKey {
            consumer: "all",
            topic: "orders",
        },
        ParkedSelector::All,
    )
    .unwrap();
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
    assert_eq!(
        bus.count_parked(ConsumerKey {
            consumer: "all",
            topic: "orders"
        })
        .unwrap(),
        1
    );
}

pub fn a_redriven_message_has_no_effect_when_the_lease_is_lost<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let tripwires = MessageDispatcher::<Tripwires>::new();
    tripwires.dispatch(&mut bus, &Tripwire {}).unwrap();
    let mut refusing =
        MessageConsumer::<Tripwires>::external("all", |_: &Message<Tripwires>| Err("no".into()))
            .retry(
                RetryPolicy::default()
                    .max_attempts(1)
                    .on_exhausted(FailurePolicy::Park),
            );
    refusing.handle_page(&mut bus).unwrap();
    bus.redrive(
        ConsumerKey {
            consumer: "all",
            topic: "tripwires",
        },
        ParkedSelector::All,
    )
    .unwrap();
    // The lease duration is zero, and another holder acquires the lease during decoding.
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
    let error = consumer.handle_page(&mut bus).unwrap_err();
    assert!(error.is_lease_lost(), "{error:?}");
    assert_eq!(handled.get(), 0);
    let stored = bus
        .stored_consumer(ConsumerKey {
            consumer: "all",
            topic: "tripwires",
        })
        .unwrap()
        .unwrap();
    assert_eq!(stored.lease_owner.as_deref(), Some("thief"));
}

pub fn a_redriven_message_shows_in_the_status<D: Database>() {
    let (_database, mut bus) = place::<D>(1..4);
    park_all(&mut bus);
    bus.redrive(
        ConsumerKey {
            consumer: "all",
            topic: "orders",
        },
        ParkedSelector::All,
    )
    .unwrap();
    let status = persisting_message_bus::operate::ConsumerStatus::read(
        &mut bus,
        ConsumerKey {
            consumer: "all",
            topic: "orders",
        },
    )
    .unwrap();
    assert_ne!(
        status.condition,
        persisting_message_bus::operate::ConsumerCondition::CaughtUp,
        "a redriven message waits: {status:?}"
    );
}

pub fn a_redriven_unknown_message_is_skipped_when_on_unknown_is_skip<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    bus.persist(&[raw("OrderLost", "{}")], Default::default())
        .unwrap();
    park_all(&mut bus);
    bus.redrive(
        ConsumerKey {
            consumer: "all",
            topic: "orders",
        },
        ParkedSelector::All,
    )
    .unwrap();
    let mut skipping = MessageConsumer::<Orders>::external("all", ignore)
        .on_unknown(persisting_message_bus::OnUnknown::Skip);
    skipping.handle_page(&mut bus).unwrap();
    assert_eq!(skipping.skipped_messages(), 1);
    assert_eq!(
        bus.count_parked(ConsumerKey {
            consumer: "all",
            topic: "orders"
        })
        .unwrap(),
        0
    );
}

pub fn redriven_messages_of_two_topics_come_in_order<D: Database>() {
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
    .retry(after(1, FailurePolicy::Park));
    while refusing.handle_page(&mut bus).unwrap() > 0 {}
    for topic in ["orders", "payments"] {
        assert_eq!(
            bus.redrive(
                ConsumerKey {
                    consumer: "all",
                    topic
                },
                ParkedSelector::All
            )
            .unwrap(),
            3
        );
    }
    let seen = RefCell::new(Vec::new());
    let mut consumer = MessageConsumer::<Ledger>::external("all", |message: &Message<Ledger>| {
        seen.borrow_mut().push(message.position().get());
        Ok(())
    });
    consumer.handle_page(&mut bus).unwrap();
    drop(consumer);
    assert_eq!(seen.into_inner(), [1, 2, 3, 4, 5, 6]);
}

pub fn a_pause_ends_a_long_redrive<D: Database>() {
    let (database, mut bus) = place::<D>(1..301);
    park_all(&mut bus);
    bus.redrive(
        ConsumerKey {
            consumer: "all",
            topic: "orders",
        },
        ParkedSelector::All,
    )
    .unwrap();
    let mut operator = database.connect();
    let handled = Cell::new(0);
    let mut consumer = MessageConsumer::<Orders>::external("all", |_: &Message<Orders>| {
        if handled.replace(handled.get() + 1) == 0 {
            operator.pause(ConsumerKey {
                consumer: "all",
                topic: "orders",
            })?;
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

pub fn a_new_process_writes_nothing_when_it_has_caught_up<D: Database>() {
    let (_database, mut bus) = place::<D>(1..4);
    refuse_second(&mut bus);
    bus.redrive(
        ConsumerKey {
            consumer: "all",
            topic: "orders",
        },
        ParkedSelector::All,
    )
    .unwrap();
    assert_eq!(consume(&mut bus, "all"), [2]);
    let epoch = |bus: &mut D::Bus| {
        bus.stored_consumer(ConsumerKey {
            consumer: "all",
            topic: "orders",
        })
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
