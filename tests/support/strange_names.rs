//! Tables and columns whose names nobody would choose.

use std::time::Duration;

use persisting_message_bus::diesel::TableSchema;
use persisting_message_bus::{
    FailedPage, FailureState, GiveUp, Message, MessageConsumer, MessageConsumerState,
    MessageDispatcher, MessageInbox, MessageRepository, Parked, Position, Received, Retry,
};

use crate::consume;
use crate::topics::{OrderPlaced, Orders};

/// The names, without a column for versions.
pub fn schema() -> TableSchema {
    let mut schema = TableSchema::default();
    let messages = &mut schema.messages;
    messages.table = "my \"`Events`".into();
    messages.id = "the ID".into();
    messages.message_id = "order".into();
    messages.topic = "select".into();
    messages.message_type = "Type".into();
    messages.message_version = None;
    messages.correlation_id = None;
    messages.payload = "body".into();
    messages.headers = "meta;--".into();
    messages.published_at = "at".into();
    messages.topic_index = "by topic".into();
    let consumers = &mut schema.consumer_state;
    consumers.table = "cursors".into();
    consumers.consumer = "name".into();
    consumers.topic = "stream".into();
    consumers.cursor = "at".into();
    consumers.lease_owner = "by".into();
    consumers.lease_epoch = "times".into();
    consumers.lease_expires_at = "until".into();
    consumers.replay_until = "again?".into();
    consumers.paused_at = "{rest}".into();
    consumers.cursor_moved_at = "since?".into();
    consumers.work = "does".into();
    consumers.suspect_until = "beware of".into();
    let failures = &mut schema.failures;
    failures.table = "too bad".into();
    failures.consumer = "name".into();
    failures.topic = "stream".into();
    failures.position = "at".into();
    failures.message_id = "order".into();
    failures.message_type = "Type".into();
    failures.state = "is".into();
    failures.attempts = "times".into();
    failures.error = "why?".into();
    failures.first_failed_at = "from".into();
    failures.last_failed_at = "to".into();
    let inbox = &mut schema.inbox;
    inbox.table = "in; box".into();
    inbox.consumer = "name".into();
    inbox.source = "from".into();
    inbox.message_id = "order".into();
    inbox.received_at = "at".into();
    let slots = &mut schema.publisher_slots;
    slots.table = "who?".into();
    slots.topic = "what".into();
    slots.slot = "number".into();
    schema
}

/// Uses every table and every column.
pub fn use_all(bus: &mut (impl MessageRepository + MessageConsumerState + MessageInbox)) {
    let batch = (0..3).map(OrderPlaced::number);
    MessageDispatcher::<Orders>::new()
        .dispatch_batch(bus, batch)
        .unwrap();
    assert_eq!(consume(bus), [0, 1, 2]);
    assert_eq!(bus.last_position().unwrap(), Position::new(3));

    let mut failing =
        MessageConsumer::<Orders>::external("failing", |_: &Message<Orders>| Err("no".into()))
            .retry(Retry::default().attempts(1).then(GiveUp::Park));
    while bus.count_parked("failing", "orders").unwrap() < 3 {
        failing.handle_new_messages(bus).unwrap();
    }
    let parked = bus.failed_messages(&FailedPage {
        consumer: "failing",
        topic: "orders",
        state: FailureState::Parked,
        after: Position::new(2),
        limit: 10,
    });
    assert!(parked.unwrap()[0].error.ends_with(": no"));
    let redriven = bus.redrive("failing", "orders", Parked::OfType("OrderPlaced"));
    assert_eq!(redriven.unwrap(), 3);
    failing.handle_new_messages(bus).unwrap();
    let discarded = bus.discard("failing", "orders", Parked::At(Position::new(2)));
    assert_eq!(discarded.unwrap(), 1);
    let received = Received {
        consumer: "failing",
        source: "outside",
        message_id: "1",
    };
    for is_new in [true, false] {
        assert_eq!(bus.receive(&received).unwrap(), is_new);
    }
    let pruned = bus.prune_inbox("failing", "outside", Duration::ZERO);
    assert_eq!(pruned.unwrap(), 1);
    assert!(failing.pause(bus).unwrap());
    assert!(failing.resume(bus).unwrap());
}
