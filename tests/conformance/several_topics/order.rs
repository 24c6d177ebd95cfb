//! The order of the messages of several topics.

use persisting_message_bus::backend::{
    MessageAt, MessageRepository, MessageSource, SlotObservations,
};
use persisting_message_bus::memory::InMemoryMessageConsumerState;
use persisting_message_bus::{Error, Message, MessageBus, MessageConsumer, Position};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::topics::{Ledger, OrderPlaced};
use persisting_message_bus_tests::{forward_source, seed};

use super::{cursor, number, pay, ship};
use crate::{ignore, orders};

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

impl<B: MessageRepository + MessageSource> Busy<B> {
    fn publish(&mut self) {
        ship(&mut self.bus, self.next);
        pay(&mut self.bus, self.next);
        self.next += 1;
    }
}

impl<B: MessageRepository + MessageSource> MessageSource for Busy<B> {
    fn high_water_mark(
        &mut self,
        topic: &str,
        observations: &mut SlotObservations,
    ) -> Result<Position, Error> {
        let high_water_mark = self.bus.high_water_mark(topic, observations)?;
        self.publish();
        Ok(high_water_mark)
    }

    fn head(&mut self, topic: &str, high_water_mark: Position) -> Result<MessageAt, Error> {
        let head = self.bus.head(topic, high_water_mark)?;
        self.publish();
        Ok(head)
    }

    forward_source! { |this| this.bus => last_position, read_page }
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

impl<B: MessageRepository + MessageSource> MessageSource for Held<B> {
    fn high_water_mark(
        &mut self,
        _topic: &str,
        _observations: &mut SlotObservations,
    ) -> Result<Position, Error> {
        Ok(Position::START)
    }

    forward_source! { |this| this.0 => head, last_position, read_page }
}

pub fn a_consumer_does_not_wait_for_messages_after_the_high_water_mark<D: Database>() {
    let database = D::create();
    let mut messages = database.connect();
    ship(&mut messages, 1);
    pay(&mut messages, 2);
    let mut bus = MessageBus::new(Held(messages), InMemoryMessageConsumerState::new());
    let mut consumer = MessageConsumer::<Ledger>::external("ledger", ignore)
        .before_replay(|| Err("the consumer must not start".into()));
    assert_eq!(consumer.handle_page(&mut bus).unwrap(), 0);
    assert_eq!(cursor(&mut bus, "orders"), None);
}
