use persisting_message_bus::operate::ConsumerKey;
use std::ops::ControlFlow;
use std::time::Duration;

use persisting_message_bus::backend::{
    MessageConsumerState, MessageRepository, MessageSource, PageRequest, RawMessage,
    SlotObservations, StoredMessage,
};
use persisting_message_bus::memory::InMemoryMessageConsumerState;
use persisting_message_bus::{
    Error, FailurePolicy, Message, MessageBus, MessageConsumer, MessageDispatcher, OnDuplicate,
    Position,
};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::seed;
use persisting_message_bus_tests::topics::{
    Ledger, OrderPlaced, OrderShipped, Orders, Paid, Payments,
};

use super::consuming::raw;
use super::failing::after;
use super::orders;

fn payments() -> MessageDispatcher<Payments> {
    MessageDispatcher::new()
}

pub(super) fn ship(bus: &mut impl MessageRepository, order: u64) {
    orders().dispatch(bus, &OrderShipped { order }).unwrap();
}

pub(super) fn pay(bus: &mut impl MessageRepository, order: u64) {
    payments().dispatch(bus, &Paid { order }).unwrap();
}

pub(super) fn number(message: &Message<Ledger>) -> u64 {
    match message.payload() {
        Ledger::Shipped(shipped) => shipped.order,
        Ledger::Cancelled(cancelled) => cancelled.order,
        Ledger::Paid(paid) => paid.order,
    }
}

fn cursor(bus: &mut impl MessageConsumerState, topic: &str) -> Option<Position> {
    let status = bus
        .stored_consumer(ConsumerKey {
            consumer: "ledger",
            topic,
        })
        .unwrap();
    status.and_then(|status| status.cursor)
}

pub fn messages_of_several_topics_come_in_one_order<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let mut random = fastrand::Rng::with_seed(seed());
    let mut expected = Vec::new();
    for order in 0..200 {
        match random.u8(0..10) {
            0..3 => ship(&mut bus, order),
            3..9 => pay(&mut bus, order),
            _ => {
                orders()
                    .dispatch(&mut bus, &OrderPlaced::number(order))
                    .unwrap();
                continue;
            }
        }
        expected.push(order);
    }
    for page_size in [1, 7, 500] {
        let mut seen = Vec::new();
        let name = format!("ledger {page_size}");
        let mut consumer =
            MessageConsumer::<Ledger>::external(&name, |message: &Message<Ledger>| {
                seen.push(number(message));
                Ok(())
            })
            .page_size(page_size);
        loop {
            let page = consumer.handle_page(&mut bus).unwrap();
            assert!(page <= page_size);
            if page == 0 {
                break;
            }
        }
        drop(consumer);
        assert_eq!(seen, expected, "pages of {page_size}");
    }
}

/// A bus on which an order and its payment are published after each read of a topic's head.
struct Busy<B> {
    bus: B,
    next: u64,
}

impl<B: MessageRepository> Busy<B> {
    fn publish(&mut self) {
        ship(&mut self.bus, self.next);
        pay(&mut self.bus, self.next);
        self.next += 1;
    }
}

impl<B: MessageRepository> MessageSource for Busy<B> {
    fn high_water_mark(
        &mut self,
        topic: &str,
        observations: &mut SlotObservations,
    ) -> Result<Position, Error> {
        let high_water_mark = self.bus.high_water_mark(topic, observations)?;
        self.publish();
        Ok(high_water_mark)
    }

    fn head(&mut self, topic: &str, high_water_mark: Position) -> Result<Position, Error> {
        let head = self.bus.head(topic, high_water_mark)?;
        self.publish();
        Ok(head)
    }

    fn last_position(&mut self) -> Result<Position, Error> {
        self.bus.last_position()
    }

    fn read_page(
        &mut self,
        request: &PageRequest<'_>,
        receive: &mut dyn FnMut(&StoredMessage<'_>) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        self.bus.read_page(request, receive)
    }
}

pub fn messages_published_between_two_reads_keep_their_order<D: Database>() {
    let database = D::create();
    let mut bus = MessageBus::new(
        Busy {
            bus: database.connect(),
            next: 0,
        },
        InMemoryMessageConsumerState::new(),
    );
    let mut seen = Vec::new();
    let mut consumer =
        MessageConsumer::<Ledger>::external("ledger", |message: &Message<Ledger>| {
            seen.push(message.position());
            Ok(())
        });
    for _ in 0..5 {
        consumer.handle_page(&mut bus).unwrap();
    }
    drop(consumer);
    assert!(seen.len() > 10);
    assert!(seen.is_sorted(), "{seen:?}");
}

/// A bus whose high-water mark stays at the start, so that no message can be read yet.
struct Held<B>(B);

impl<B: MessageRepository> MessageSource for Held<B> {
    fn high_water_mark(
        &mut self,
        _topic: &str,
        _observations: &mut SlotObservations,
    ) -> Result<Position, Error> {
        Ok(Position::START)
    }

    fn head(&mut self, topic: &str, high_water_mark: Position) -> Result<Position, Error> {
        self.0.head(topic, high_water_mark)
    }

    fn last_position(&mut self) -> Result<Position, Error> {
        self.0.last_position()
    }

    fn read_page(
        &mut self,
        request: &PageRequest<'_>,
        receive: &mut dyn FnMut(&StoredMessage<'_>) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        self.0.read_page(request, receive)
    }
}

pub fn a_consumer_does_not_wait_for_messages_after_the_high_water_mark<D: Database>() {
    let database = D::create();
    let mut messages = database.connect();
    ship(&mut messages, 1);
    pay(&mut messages, 2);
    let mut bus = MessageBus::new(Held(messages), InMemoryMessageConsumerState::new());
    let mut consumer = MessageConsumer::<Ledger>::external("ledger", super::ignore)
        .before_replay(|| Err("the consumer must not start".into()));
    assert_eq!(consumer.handle_page(&mut bus).unwrap(), 0);
    assert_eq!(cursor(&mut bus, "orders"), None);
}

pub fn the_lease_of_a_topic_without_messages_is_renewed_too<D: Database>() {
    let database = D::create();
    let (mut bus, mut other) = (database.connect(), database.connect());
    for order in 0..4 {
        pay(&mut bus, order);
    }
    let mut ends = Vec::new();
    let mut consumer = MessageConsumer::<Ledger>::external("ledger", |_: &Message<Ledger>| {
        let status = other.stored_consumer(ConsumerKey {
            consumer: "ledger",
            topic: "orders",
        })?;
        ends.push(status.and_then(|status| status.lease_expires_at));
        std::thread::sleep(Duration::from_millis(60));
        Ok(())
    })
    .lease_duration(Duration::from_millis(150));
    assert_eq!(consumer.handle_page(&mut bus).unwrap(), 4);
    drop(consumer);
    assert!(ends.is_sorted_by(|one, next| one < next), "{ends:?}");
}

pub fn each_topic_has_its_cursor<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    ship(&mut bus, 1);
    pay(&mut bus, 2);
    pay(&mut bus, 3);
    orders()
        .dispatch(&mut bus, &OrderPlaced::number(4))
        .unwrap();
    let mut consumer = MessageConsumer::<Ledger>::external("ledger", super::ignore);
    assert_eq!(consumer.handle_page(&mut bus).unwrap(), 3);
    for topic in ["orders", "payments"] {
        let head = bus.current_head(topic).unwrap();
        assert_eq!(cursor(&mut bus, topic), Some(head));
    }
}

pub fn a_topic_that_is_ahead_loses_nothing<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    // 20 payments, a shipment, and another payment: the shipment is several pages of payments
    // later.
    for order in 0..20 {
        pay(&mut bus, order);
    }
    ship(&mut bus, 20);
    pay(&mut bus, 21);
    let mut seen = Vec::new();
    let mut failing = Some(12);
    let mut consumer =
        MessageConsumer::<Ledger>::external("ledger", |message: &Message<Ledger>| {
            if failing == Some(number(message)) {
                failing = None;
                return Err("not now".into());
            }
            seen.push(number(message));
            Ok(())
        })
        .page_size(5);
    let mut failures = 0;
    loop {
        match consumer.handle_page(&mut bus) {
            Ok(0) => break,
            Ok(_) => {}
            Err(_) => failures += 1,
        }
    }
    drop(consumer);
    assert_eq!(failures, 1);
    assert_eq!(seen, (0..22).collect::<Vec<_>>());
}

pub fn a_bad_message_stops_all_topics_after_it<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    pay(&mut bus, 1);
    bus.persist(&[raw("OrderShipped", "{}")], OnDuplicate::Fail)
        .unwrap();
    pay(&mut bus, 3);
    ship(&mut bus, 4);
    let bad_payment = RawMessage {
        topic: "payments".into(),
        ..raw("Paid", "{}")
    };
    bus.persist(&[bad_payment], OnDuplicate::Fail).unwrap();
    let mut seen = Vec::new();
    let mut consumer =
        MessageConsumer::<Ledger>::external("ledger", |message: &Message<Ledger>| {
            seen.push(number(message));
            Ok(())
        });
    for _ in 0..2 {
        let error = consumer.handle_page(&mut bus).unwrap_err();
        assert_eq!(error.position(), Some(Position::new(2)), "{error:?}");
    }
    drop(consumer);
    assert_eq!(seen, [1]);
    assert_eq!(cursor(&mut bus, "payments"), Some(Position::new(1)));
    assert_eq!(cursor(&mut bus, "orders"), None);
}

pub fn the_first_of_several_bad_messages_is_reported<D: Database>() {
    for first in ["orders", "payments"] {
        let database = D::create();
        let mut bus = database.connect();
        let second = match first {
            "orders" => "payments",
            _ => "orders",
        };
        for topic in [first, second] {
            pay(&mut bus, 1);
            ship(&mut bus, 2);
            let bad = RawMessage {
                topic: topic.into(),
                ..raw(
                    if topic == "orders" {
                        "OrderShipped"
                    } else {
                        "Paid"
                    },
                    "{}",
                )
            };
            bus.persist(&[bad], OnDuplicate::Fail).unwrap();
        }
        let mut consumer = MessageConsumer::<Ledger>::external("ledger", super::ignore);
        for _ in 0..2 {
            let error = consumer.handle_page(&mut bus).unwrap_err();
            assert_eq!(error.position(), Some(Position::new(3)), "{error:?}");
        }
    }
}

pub fn cursors_of_all_topics_commit_with_the_effects<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    for order in 0..10 {
        match order % 2 {
            0 => ship(&mut bus, order),
            _ => pay(&mut bus, order),
        }
    }
    let mut fails = true;
    let mut consumer = MessageConsumer::<Ledger>::transactional(
        "ledger",
        |bus: &mut D::Bus, message: &Message<Ledger>| {
            orders().dispatch(bus, &OrderPlaced::number(number(message)))?;
            if number(message) == 6 && std::mem::take(&mut fails) {
                Err("not now".into())
            } else {
                Ok(())
            }
        },
    )
    .retry(after(8, FailurePolicy::Stop));
    consumer.handle_page(&mut bus).unwrap_err();
    assert_eq!(cursor(&mut bus, "payments"), Some(Position::new(6)));
    assert_eq!(cursor(&mut bus, "orders"), Some(Position::new(5)));
    let mut consumer = MessageConsumer::<Ledger>::transactional(
        "ledger",
        |bus: &mut D::Bus, message: &Message<Ledger>| {
            orders().dispatch(bus, &OrderPlaced::number(number(message)))?;
            Ok(())
        },
    );
    while consumer.handle_page(&mut bus).unwrap() > 0 {}
    let stored = super::stored(&mut bus, "orders");
    let effects = stored
        .iter()
        .filter(|(_, raw)| raw.message_type == "OrderPlaced");
    let effects = effects.map(|(_, raw)| {
        serde_json::from_str::<OrderPlaced>(&raw.payload)
            .unwrap()
            .order
    });
    assert_eq!(effects.collect::<Vec<_>>(), (0..10).collect::<Vec<_>>());
}

pub fn leases_of_other_topics_are_released_when_one_topic_is_held<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    ship(&mut bus, 1);
    pay(&mut bus, 2);
    let request = persisting_message_bus::backend::LeaseRequest {
        consumer: "ledger",
        topic: "payments",
        owner: "another process",
        duration: std::time::Duration::from_secs(3_600),
    };
    bus.acquire(&request).unwrap();
    let mut consumer = MessageConsumer::<Ledger>::external("ledger", super::ignore);
    assert!(consumer.handle_page(&mut bus).unwrap_err().is_lease_held());
    let mut of_orders = MessageConsumer::<Orders>::external("ledger", super::ignore);
    assert_eq!(of_orders.handle_page(&mut bus).unwrap(), 1);
}

pub fn the_hook_runs_only_when_all_topics_start<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    ship(&mut bus, 1);
    let mut of_orders = MessageConsumer::<Orders>::external("ledger", super::ignore);
    of_orders.handle_page(&mut bus).unwrap();
    pay(&mut bus, 2);
    let mut consumer = MessageConsumer::<Ledger>::external("ledger", super::ignore)
        .before_replay(|| Err("the consumer does not start at the beginning".into()));
    assert_eq!(consumer.handle_page(&mut bus).unwrap(), 1);
}
