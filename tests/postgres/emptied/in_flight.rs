//! Positions begin again while a consumer lives on that remembers the former ones, and publishers
//! are in flight. The same cases on every server.

use persisting_message_bus::backend::{MessageRepository, TransactionControl};
use persisting_message_bus::handler::HandlerError;
use persisting_message_bus::{Message, MessageConsumer, StartAt};
use persisting_message_bus_tests::databases::{Database, Server};
use persisting_message_bus_tests::topics::Orders;

use super::cases::{Emptied, Recording, Seen, external, publish, taken};

/// When a consumer is reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reset {
    /// After a publisher has begun that is in flight at the next poll.
    AfterBegin,
    /// Before that.
    BeforeBegin,
    /// Before that, by another consumer object of the same name. The first one does not poll
    /// between the old messages and the new ones.
    Elsewhere,
}

pub fn a_consumer_that_was_reset_after_a_publisher_began_waits_for_it<D: Emptied + Server>() {
    waits::<D>(Reset::AfterBegin);
}

pub fn a_consumer_that_was_reset_before_a_publisher_began_waits_for_it<D: Emptied + Server>() {
    waits::<D>(Reset::BeforeBegin);
}

pub fn a_consumer_that_was_reset_elsewhere_waits_for_publishers<D: Emptied + Server>() {
    waits::<D>(Reset::Elsewhere);
}

/// Without a reset, the consumer does not skip the message of a publisher that was in flight.
pub fn a_consumer_notices_new_messages_after_a_publisher_in_flight<D: Emptied + Server>() {
    let seen = Seen::default();
    let mut consumer = external(&seen);
    let (_database, [mut bus, mut slow, mut fast]) = after_ten::<D>(&mut consumer, &seen);
    D::empty(&mut fast);
    publish_in_flight(&mut slow, &mut fast);
    // The reader may not know of the new messages yet.
    assert!(matches!(consumer.handle_page(&mut bus), Ok(0) | Err(_)));
    slow.commit().unwrap();
    let error = consumer.handle_new_messages(&mut bus).unwrap_err();
    assert!(error.is_broken_cursor(), "{error:#}");
    assert_eq!(taken(&seen), [0; 0]);
}

/// Lets a consumer handle ten messages. Returns the connections of the consumer, and of a slow and a
/// fast publisher.
fn after_ten<D: Database>(
    consumer: &mut Recording<Orders, impl FnMut(&Message<Orders>) -> Result<(), HandlerError>>,
    seen: &Seen,
) -> (D, [D::Bus; 3]) {
    let database = D::create();
    let [mut bus, slow, mut fast] = [(); 3].map(|()| database.connect());
    publish(&mut fast, 1..=10);
    consumer.handle_new_messages(&mut bus).unwrap();
    assert_eq!(taken(seen).len(), 10);
    (database, [bus, slow, fast])
}

/// Publishes a message that is in flight, and messages after it.
fn publish_in_flight<B: MessageRepository + TransactionControl>(slow: &mut B, fast: &mut B) {
    slow.begin().unwrap();
    publish(slow, [101]);
    publish(fast, 102..=115);
}

fn waits<D: Emptied + Server>(reset: Reset) {
    let seen = Seen::default();
    let mut consumer = external(&seen);
    let (_database, [mut bus, mut slow, mut fast]) = after_ten::<D>(&mut consumer, &seen);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 0);
    D::empty(&mut fast);
    match reset {
        Reset::AfterBegin => {}
        Reset::BeforeBegin => {
            let error = consumer.handle_page(&mut bus).unwrap_err();
            assert!(error.is_broken_cursor(), "{error:#}");
            consumer.reset(&mut bus, StartAt::Start).unwrap();
        }
        Reset::Elsewhere => {
            let ignore = |_: &Message<Orders>| -> Result<(), HandlerError> { Ok(()) };
            let mut operator = MessageConsumer::<Orders>::external("all", ignore);
            operator.reset(&mut fast, StartAt::Start).unwrap();
        }
    }
    publish_in_flight(&mut slow, &mut fast);
    if reset == Reset::AfterBegin {
        // The reader does not know of new messages, unless it remembers the former positions.
        match consumer.handle_page(&mut bus) {
            Ok(handled) => assert_eq!(handled, 0),
            Err(error) => assert!(error.is_broken_cursor(), "{error:#}"),
        }
        consumer.reset(&mut bus, StartAt::Start).unwrap();
    }
    consumer.handle_new_messages(&mut bus).unwrap();
    slow.commit().unwrap();
    consumer.handle_new_messages(&mut bus).unwrap();
    assert_eq!(taken(&seen), (101..=115).collect::<Vec<_>>(), "{reset:?}");
}
