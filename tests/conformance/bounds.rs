//! Long topics: no statement reads all of one, and progress is kept.

use std::ops::ControlFlow;

use chrono::{DateTime, TimeDelta, Utc};
use persisting_message_bus::backend::{
    InboxEntry, MessageAt, MessageInbox, MessageRepository, MessageSource, PageRequest, RawMessage,
    StoredMessage, TransactionControl,
};
use persisting_message_bus::memory::InMemoryMessageRepository;
use persisting_message_bus::operate::{
    ConsumerKey, ConsumerStatus, MessageFailures, ParkedSelector,
};
use persisting_message_bus::{
    Error, FailurePolicy, Inbox, InboxKey, Message, MessageBus, MessageConsumer, MessageDispatcher,
    OnDuplicate, RetryPolicy, StartAt,
};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::forward_source;
use persisting_message_bus_tests::topics::{
    Closed, Ledger, OrderCancelled, OrderPlaced, OrderShipped, Orders, Paid, Payments,
};

use super::{CONSUMER, TestBus, ignore, orders, stored_consumer};

/// Publishes orders that an event set of closed orders does not select.
fn place_many(bus: &mut impl TestBus, count: u64) {
    const BATCH: u64 = 4_000;
    for first in (0..count).step_by(BATCH as usize) {
        let batch = first..count.min(first + BATCH);
        orders()
            .dispatch_batch(bus, batch.map(OrderPlaced::number))
            .unwrap();
    }
}

fn ship(bus: &mut impl TestBus, order: u64) {
    orders().dispatch(bus, &OrderShipped { order }).unwrap();
}

fn cancel(bus: &mut impl TestBus, order: u64) {
    let cancelled = OrderCancelled {
        order,
        reason: None,
    };
    orders().dispatch(bus, &cancelled).unwrap();
}

/// The numbers of orders of an event set.
fn number_of(message: &Ledger) -> u64 {
    match message {
        Ledger::Shipped(shipped) => shipped.order,
        Ledger::Cancelled(cancelled) => cancelled.order,
        Ledger::Paid(paid) => paid.order,
    }
}

pub fn messages_of_rare_types_come_in_order<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    place_many(&mut bus, 11_000);
    ship(&mut bus, 1);
    MessageDispatcher::<Payments>::new()
        .dispatch(&mut bus, &Paid { order: 2 })
        .unwrap();
    place_many(&mut bus, 24_000);
    for order in 3..=5 {
        cancel(&mut bus, order);
    }
    place_many(&mut bus, 50);
    for page_size in [1, 2, 500] {
        let mut seen = Vec::new();
        let handler = |message: &Message<Ledger>| {
            seen.push(number_of(message.payload()));
            Ok(())
        };
        let name = format!("pages of {page_size}");
        let mut consumer = MessageConsumer::<Ledger>::external(name, handler).page_size(page_size);
        let handled = consumer.handle_new_messages(&mut bus).unwrap();
        assert_eq!(consumer.handle_page(&mut bus).unwrap(), 0);
        drop(consumer);
        assert_eq!((handled, &*seen), (5, &[1, 2, 3, 4, 5][..]), "{page_size}");
    }
}

pub fn a_long_backlog_is_counted_exactly<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    place_many(&mut bus, 20_000);
    let lag = |bus: &mut D::Bus| ConsumerStatus::read(bus, CONSUMER).unwrap().lag_messages;
    assert_eq!(lag(&mut bus), 20_000);
    ship(&mut bus, 1);
    assert_eq!(lag(&mut bus), 20_001);
    let mut consumer = MessageConsumer::<Orders>::external("all", ignore).page_size(7);
    consumer.handle_page(&mut bus).unwrap();
    assert_eq!(lag(&mut bus), 19_994);
}

/// A source that fails at its second page.
struct Interrupted<M> {
    messages: M,
    pages_left: usize,
}

impl<M: MessageSource> MessageSource for Interrupted<M> {
    forward_source! { |this| this.messages => high_water_mark, head, ids_at, last_position }

    fn read_page(
        &mut self,
        request: &PageRequest<'_>,
        receive: &mut dyn FnMut(&StoredMessage<'_>) -> ControlFlow<()>,
    ) -> Result<MessageAt, Error> {
        match self.pages_left.checked_sub(1) {
            Some(left) => self.pages_left = left,
            None => return Err(Error::transient("reading", "the network is slow")),
        }
        self.messages.read_page(request, receive)
    }
}

pub fn progress_is_kept_when_the_search_for_a_rare_type_is_interrupted<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    place_many(&mut bus, 25_000);
    ship(&mut bus, 1);
    let key = ConsumerKey {
        consumer: "closed",
        topic: "orders",
    };
    let mut handled = 0;
    let handler = |_: &Message<Closed>| {
        handled += 1;
        Ok(())
    };
    let mut consumer = MessageConsumer::<Closed>::external("closed", handler);
    let mut cursors = Vec::new();
    for _ in 0..4 {
        let source = Interrupted {
            messages: database.connect(),
            pages_left: 1,
        };
        let mut bus = MessageBus::new(source, database.connect());
        match consumer.handle_page(&mut bus) {
            Ok(_) => break,
            Err(error) => assert!(error.is_retryable(), "{error}"),
        }
        cursors.push(stored_consumer(&mut bus.state, key).cursor);
    }
    assert!(
        cursors.is_sorted_by(|one, other| one < other),
        "{cursors:?}"
    );
    assert!(cursors.len() >= 2 || !D::READS_IN_STRETCHES, "{cursors:?}");
    drop(consumer);
    assert_eq!(handled, 1);
}

pub fn a_time_is_found_among_many_messages<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let mut elsewhere = InMemoryMessageRepository::new();
    let placed = OrderPlaced::number(0);
    orders().dispatch(&mut elsewhere, &placed).unwrap();
    let model = elsewhere.messages().remove(0);
    let begun = DateTime::<Utc>::from_timestamp(1_700_000_000, 0).unwrap();
    // Up to 50 s out of order.
    let time_of = |order: u64| {
        let disorder = (order * 7_919) % 51;
        begun + TimeDelta::seconds(i64::try_from(10 * order + disorder).unwrap())
    };
    let messages = (1..=6_000).map(|order: u64| RawMessage {
        message_id: uuid::Uuid::from_u128(u128::from(order)),
        payload: format!(r#"{{"order":{order},"note":""}}"#),
        published_at: time_of(order),
        ..model.clone()
    });
    let messages: Vec<_> = messages.collect();
    for batch in messages.chunks(2_000) {
        bus.persist(batch, OnDuplicate::Fail).unwrap();
    }
    for target in [1, 500, 3_001, 5_999] {
        let time = time_of(target);
        let first = (1..=6_000).find(|order| time_of(*order) >= time);
        let mut seen = None;
        let handler = |message: &Message<Orders>| {
            seen = Some(message.payload().order());
            Ok(())
        };
        let name = format!("since {target}");
        let mut consumer = MessageConsumer::<Orders>::external(name, handler).page_size(1);
        consumer.reset(&mut bus, StartAt::Time(time)).unwrap();
        consumer.handle_page(&mut bus).unwrap();
        drop(consumer);
        assert_eq!(seen, first, "{target}");
    }
}

pub fn many_parked_messages_are_counted_redriven_and_discarded<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    place_many(&mut bus, 1_050);
    let park = RetryPolicy::default()
        .max_attempts(1)
        .on_exhausted(FailurePolicy::Park);
    let failing = |_: &Message<Orders>| Err("out of stock".into());
    let mut consumer = MessageConsumer::<Orders>::external("all", failing).retry(park);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 0);
    assert_eq!(bus.count_parked(CONSUMER).unwrap(), 1_050);
    let redriven = bus.redrive(CONSUMER, ParkedSelector::OfType("OrderPlaced"));
    assert_eq!(redriven.unwrap(), 1_050);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 0);
    assert_eq!(bus.discard(CONSUMER, ParkedSelector::All).unwrap(), 1_050);
    assert_eq!(bus.count_parked(CONSUMER).unwrap(), 0);
}

pub fn a_large_inbox_is_pruned<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let receive = |bus: &mut D::Bus, consumer: &str, count: usize| {
        bus.in_transaction(|bus| {
            for id in 0..count {
                let entry = InboxEntry {
                    consumer,
                    source: "hooks",
                    message_id: &id.to_string(),
                };
                assert!(bus.receive(&entry)?);
            }
            Ok::<_, Error>(())
        })
        .unwrap();
    };
    receive(&mut bus, "billing", 2_300);
    receive(&mut bus, "mailer", 3);
    let inbox = |consumer| {
        Inbox::new(InboxKey {
            consumer,
            source: "hooks",
        })
        .unwrap()
    };
    assert_eq!(inbox("billing").prune(&mut bus).unwrap(), 0);
    let nothing = std::time::Duration::ZERO;
    let pruned = inbox("billing").retention(nothing).prune(&mut bus);
    assert_eq!(pruned.unwrap(), 2_300);
    // In a transaction, the batches are committed or rolled back together.
    let rolled_back: Result<(), Error> = bus.in_transaction(|bus| {
        assert_eq!(inbox("mailer").retention(nothing).prune(bus)?, 3);
        Err(Error::permanent("pruning", "changed my mind"))
    });
    rolled_back.unwrap_err();
    let pruned = inbox("mailer").retention(nothing).prune(&mut bus);
    assert_eq!(pruned.unwrap(), 3);
}
