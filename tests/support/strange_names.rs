//! Tables and columns with unusual names.

use std::time::Duration;

use persisting_message_bus::backend::{
    InboxEntry, MessageConsumerState, MessageInbox, MessageRepository, MessageSource,
    TransactionControl,
};
use persisting_message_bus::operate::{
    ConsumerKey, ConsumerStatus, FailedMessagesRequest, FailureState, ParkedSelector,
};
use persisting_message_bus::sql::TableSchema;
use persisting_message_bus::{
    FailurePolicy, InboxKey, Message, MessageConsumer, MessageDispatcher, ParallelConsumer,
    Position, RetryPolicy, StartAt,
};

use crate::consume;
use crate::topics::{OrderPlaced, Orders};

/// Returns the schema with these names, and without a version column.
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
    messages.key_slot = None;
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
    consumers.anchor_position = "anchor at".into();
    consumers.anchor_id = "anchor id".into();
    consumers.source = "from".into();
    consumers.event_set = "reads what".into();
    consumers.division = Some("cut, into".into());
    let segments = &mut schema.segments;
    segments.table = "parts; of".into();
    segments.consumer = "part".into();
    segments.topic = "stream".into();
    segments.of_consumer = "name?".into();
    segments.slot_from = "from {slot}".into();
    segments.slot_to = "to".into();
    segments.cursor = "at".into();
    segments.lease_owner = "by".into();
    segments.lease_epoch = "times".into();
    segments.lease_expires_at = "until".into();
    segments.replay_until = "again?".into();
    segments.paused_at = "{rest}".into();
    segments.cursor_moved_at = "since?".into();
    segments.work = "does".into();
    segments.suspect_until = "beware of".into();
    segments.anchor_position = "anchor at".into();
    segments.anchor_id = "anchor id".into();
    segments.source = "from".into();
    segments.event_set = "reads what".into();
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
    failures.key_slot = "slot?".into();
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
pub fn use_all(
    bus: &mut (
             impl MessageRepository
             + MessageSource
             + MessageConsumerState
             + MessageInbox
             + TransactionControl
         ),
) {
    let batch = (0..3).map(OrderPlaced::number);
    MessageDispatcher::<Orders>::new()
        .dispatch_batch(bus, batch)
        .unwrap();
    assert_eq!(consume(bus), [0, 1, 2]);
    assert_eq!(bus.last_position().unwrap(), Position::new(3));

    let mut failing =
        MessageConsumer::<Orders>::external("failing", |_: &Message<Orders>| Err("no".into()))
            .retry(
                RetryPolicy::default()
                    .max_attempts(1)
                    .on_exhausted(FailurePolicy::Park),
            );
    while bus
        .count_parked(ConsumerKey {
            consumer: "failing",
            topic: "orders",
        })
        .unwrap()
        < 3
    {
        failing.handle_page(bus).unwrap();
    }
    let parked = bus.failed_messages(&FailedMessagesRequest {
        consumer: "failing",
        topic: "orders",
        state: FailureState::Parked,
        slots: None,
        after: Position::new(2),
        limit: 10,
    });
    assert!(parked.unwrap()[0].error.ends_with(": no"));
    let redriven = bus.redrive(
        ConsumerKey {
            consumer: "failing",
            topic: "orders",
        },
        ParkedSelector::OfType("OrderPlaced"),
    );
    assert_eq!(redriven.unwrap(), 3);
    failing.handle_page(bus).unwrap();
    let discarded = bus.discard(
        ConsumerKey {
            consumer: "failing",
            topic: "orders",
        },
        ParkedSelector::At(Position::new(2)),
    );
    assert_eq!(discarded.unwrap(), 1);
    let received = InboxEntry {
        consumer: "failing",
        source: "outside",
        message_id: "1",
    };
    for is_new in [true, false] {
        assert_eq!(bus.receive(&received).unwrap(), is_new);
    }
    let pruned = bus.prune_inbox(
        InboxKey {
            consumer: "failing",
            source: "outside",
        },
        Duration::ZERO,
    );
    assert_eq!(pruned.unwrap(), 1);
    assert!(failing.pause(bus).unwrap());
    assert!(failing.resume(bus).unwrap());
    use_segments(bus);
}

/// Divides a consumer, which fails, is redriven, resized, reset and renamed.
fn use_segments(bus: &mut (impl MessageSource + MessageConsumerState + TransactionControl)) {
    let failing = || {
        let handler = |_: &Message<Orders>| Err("no".into());
        MessageConsumer::<Orders>::external("divided", handler).retry(
            RetryPolicy::default()
                .max_attempts(1)
                .on_exhausted(FailurePolicy::Park),
        )
    };
    let mut failing = ParallelConsumer::unordered(failing).segments(2);
    let key = ConsumerKey::on::<Orders>("divided");
    for _message in 0..3 {
        // Each segment parks its first message.
        if let Err(failed) = failing.handle_new_messages(bus) {
            assert!(format!("{failed:#}").contains(": no"), "{failed:#}");
        }
    }
    assert_eq!(failing.handle_new_messages(bus).unwrap(), 0);
    assert_eq!(bus.count_parked(key).unwrap(), 3);
    assert_eq!(ConsumerStatus::read(bus, key).unwrap().segments.len(), 2);
    let orders = || MessageConsumer::<Orders>::external("divided", |_| Ok(()));
    let mut orders = ParallelConsumer::unordered(orders).segments(2);
    let redriven = bus.redrive(key, ParkedSelector::OfType("OrderPlaced"));
    assert_eq!(redriven.unwrap(), 3);
    assert_eq!(orders.handle_new_messages(bus).unwrap(), 3);
    assert!(orders.resize(bus, 3).unwrap());
    assert_eq!(orders.handle_new_messages(bus).unwrap(), 0);
    orders.reset(bus, StartAt::Start).unwrap();
    assert_eq!(orders.handle_new_messages(bus).unwrap(), 3);
    assert_eq!(ConsumerStatus::read(bus, key).unwrap().segments.len(), 3);
}
