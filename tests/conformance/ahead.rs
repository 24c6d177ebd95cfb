use persisting_message_bus::{Message, MessageConsumer, Position, StartAt};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::topics::Ledger;

use super::several_topics::{number, pay, ship};

/// A reset moves the cursor there, as pruning would.
pub fn a_cursor_after_the_last_message_of_a_topic_does_not_hold_back_others<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    ship(&mut bus, 1);
    for order in 2..6 {
        pay(&mut bus, order);
    }
    let mut seen = Vec::new();
    let handler = |message: &Message<Ledger>| {
        seen.push(number(message));
        Ok(())
    };
    let mut consumer = MessageConsumer::<Ledger>::external("ledger", handler);
    let between = StartAt::Position(Position::new(3));
    consumer.reset(&mut bus, between).unwrap();
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 2);
    ship(&mut bus, 6);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 1);
    drop(consumer);
    assert_eq!(seen, [4, 5, 6]);
}
