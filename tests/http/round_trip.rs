//! A feed delivers what its table delivers.

use persisting_message_bus::operate::ConsumerKey;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::thread;

use chrono::{DateTime, Utc};
use diesel::SqliteConnection;
use persisting_message_bus::backend::{
    MessageRepository, MessageSource, PageRequest, RawMessage, Slot, TypeFilter,
};
use persisting_message_bus::{
    Error, EventSet, Headers, Message, MessageBus, MessageConsumer, MessageDispatcher, OnDuplicate,
    Position,
};
use persisting_message_bus_http::{HttpSource, Limits};
use persisting_message_bus_tests::databases::{Database, Memory, Sqlite};
use persisting_message_bus_tests::seed;
use persisting_message_bus_tests::topics::invoices::{InvoiceSent, Invoices};
use persisting_message_bus_tests::topics::{
    Closed, Ledger, OrderCancelled, OrderPlaced, OrderShipped, Orders, Paid, Payments,
};
use uuid::Uuid;

use super::serving::{Serving, TOPICS, feed_of};

macro_rules! round_trips_on {
    ($($backend:ident: $database:ident),* $(,)?) => {$(
        mod $backend {
            use persisting_message_bus_tests::databases::$database;

            #[test]
            fn messages_come_as_they_are_stored() {
                super::messages_come_as_they_are_stored::<$database>();
            }

            #[test]
            fn a_consumer_runs_on_a_feed_as_on_a_table() {
                super::a_consumer_runs_on_a_feed_as_on_a_table::<$database>();
            }

            #[test]
            fn messages_of_several_topics_come_in_one_order() {
                super::messages_of_several_topics_come_in_one_order::<$database>();
            }

            #[test]
            fn in_flight_publishers_lose_nothing() {
                super::in_flight_publishers_lose_nothing::<$database>();
            }
        }
    )*};
}

round_trips_on! {
    memory: Memory,
    sqlite: PooledSqlite,
    postgres: PooledPostgres,
    mariadb: PooledMariadb,
}

pub fn stored(
    source: &mut impl MessageSource,
    topic: &str,
    up_to: Position,
) -> Vec<(Position, RawMessage)> {
    let request = PageRequest {
        topic,
        message_types: TypeFilter::All,
        after: Position::START,
        up_to,
        limit: usize::MAX,
    };
    page(source, &request)
}

/// Reads a page, which a feed can split.
fn page(source: &mut impl MessageSource, request: &PageRequest<'_>) -> Vec<(Position, RawMessage)> {
    let mut messages = Vec::new();
    let mut after = request.after;
    while after < request.up_to && messages.len() < request.limit {
        let rest = PageRequest {
            after,
            limit: request.limit - messages.len(),
            ..*request
        };
        let end = source.read_page(&rest, &mut |message| {
            messages.push((message.position, message.to_raw()));
            ControlFlow::Continue(())
        });
        let end = end.unwrap().position;
        assert!(end > after, "{end} is not after {after}");
        after = end;
    }
    messages
}

/// Publishes texts that a layer between could misinterpret.
pub fn publish_strange_things(bus: &mut impl MessageRepository) {
    let orders = MessageDispatcher::<Orders>::new();
    let notes = [
        "",
        "plain",
        "\"quoted\" \\ {[,]}",
        "line\nline\r\n\t",
        "ü € 🦀 \u{7f}\u{2028}",
        "</data>&amp;",
    ];
    for (order, note) in (1..).zip(notes) {
        let placed = OrderPlaced {
            order,
            note: note.to_owned(),
        };
        let headers = Headers::new()
            .with("note", note)
            .with("partitionkey", "customer 7")
            .with(
                "traceparent",
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            )
            .with("number", order);
        orders.dispatch_with(bus, &placed, headers).unwrap();
        orders.dispatch(bus, &OrderShipped { order }).unwrap();
    }
    let sent = InvoiceSent {
        invoice: 1,
        cents: 1250,
        currency: "EUR".to_owned(),
    };
    MessageDispatcher::<Invoices>::new()
        .dispatch(bus, &sent)
        .unwrap();
    let old: DateTime<Utc> = "1999-12-31T23:59:59.000001Z".parse().unwrap();
    let raw = RawMessage {
        correlation_id: None,
        key_slot: Slot::NONE,
        message_id: Uuid::from_u128(u128::MAX / 3),
        topic: "invoices".into(),
        message_type: "InvoiceSent".into(),
        message_version: 1,
        payload: r#"{"number": "7",   "cents":1,"currency":"EUR", "f": 1.0, "big": 123456789012345678901234567890}"#.to_owned(),
        headers: r#"{"a":1}"#.to_owned(),
        published_at: old,
    };
    bus.persist(&[raw], OnDuplicate::Fail).unwrap();
}

fn messages_come_as_they_are_stored<D: Database + Send + 'static>() {
    let database = Arc::new(D::create());
    let bus = &mut database.connect();
    publish_strange_things(bus);
    let serving = Serving::start(feed_of(&database));
    let source = &mut HttpSource::new(serving.url()).unwrap();
    for topic in TOPICS {
        let head = bus.current_head(topic).unwrap();
        assert_eq!(source.current_head(topic).unwrap(), head);
        let there = stored(bus, topic, head);
        assert_eq!(stored(source, topic, head), there);
        assert_eq!(stored(source, topic, Position::new(i64::MAX)), there);
    }
    assert_eq!(
        source.last_position().unwrap(),
        bus.last_position().unwrap()
    );
    assert_eq!(stored(bus, "invoices", Position::new(i64::MAX)).len(), 2);
}

fn consume<S: EventSet>(
    bus: &mut (impl MessageSource + persisting_message_bus::backend::MessageConsumerState),
    number: impl Fn(&S) -> u64,
) -> Vec<(Position, u64)> {
    let mut seen = Vec::new();
    let mut consumer = MessageConsumer::<S>::external("far away", |message: &Message<S>| {
        seen.push((message.position(), number(message.payload())));
        Ok(())
    })
    .page_size(3);
    while consumer.handle_page(bus).unwrap() > 0 {}
    drop(consumer);
    seen
}

fn closed(closed: &Closed) -> u64 {
    match closed {
        Closed::Shipped(shipped) => shipped.order,
        Closed::Cancelled(cancelled) => cancelled.order,
    }
}

fn a_consumer_runs_on_a_feed_as_on_a_table<D: Database + Send + 'static>() {
    let database = Arc::new(D::create());
    let bus = &mut database.connect();
    let orders = MessageDispatcher::<Orders>::new();
    // Pages of the feed end at other positions than those of the consumer.
    let feed = feed_of(&database).limits(Limits::default().max_page_size(2));
    let serving = Serving::start(feed);
    let source = HttpSource::new(serving.url()).unwrap();
    let elsewhere = D::create();
    let far = &mut MessageBus::new(source, elsewhere.connect());
    let numbers = |seen: Vec<(Position, u64)>| -> Vec<_> {
        seen.into_iter().map(|(_, number)| number).collect()
    };
    assert_eq!(consume(far, Orders::order), []);
    for order in 1..=5 {
        orders.dispatch(bus, &OrderPlaced::number(order)).unwrap();
        orders.dispatch(bus, &OrderShipped { order }).unwrap();
    }
    assert_eq!(
        numbers(consume(far, Orders::order)),
        [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    );
    assert_eq!(consume(far, Orders::order), []);
    let cancelled = OrderCancelled {
        order: 6,
        reason: None,
    };
    orders.dispatch(bus, &cancelled).unwrap();
    assert_eq!(numbers(consume(far, Orders::order)), [6]);

    let source = HttpSource::new(serving.url()).unwrap();
    let third = D::create();
    let another = &mut MessageBus::new(source, third.connect());
    assert_eq!(consume(another, closed), consume(bus, closed));
    let cursor = |bus: &mut dyn persisting_message_bus::backend::MessageConsumerState| {
        bus.stored_consumer(ConsumerKey {
            consumer: "far away",
            topic: "orders",
        })
        .unwrap()
        .unwrap()
        .cursor
    };
    assert_eq!(cursor(another), cursor(bus));
}

/// The requests are random.
#[test]
fn pages_of_a_feed_equal_those_of_the_table() {
    let database = Arc::new(Memory::create());
    let bus = &mut database.connect();
    publish_strange_things(bus);
    let last = bus.last_position().unwrap().get();
    let serving = Serving::start(feed_of(&database).limits(Limits::default().max_page_size(3)));
    let source = &mut HttpSource::new(serving.url()).unwrap();
    let head = source.current_head("orders").unwrap().get();
    let many: Vec<_> = (0..500).map(|number| format!("Other{number}")).collect();
    let many: Vec<_> = many
        .iter()
        .map(String::as_str)
        .chain(["OrderShipped"])
        .collect();
    let names = ["OrderShipped", "no & such = type"];
    let types = [
        TypeFilter::All,
        TypeFilter::Only(&[]),
        TypeFilter::Only(&names),
        TypeFilter::Only(&many),
        TypeFilter::Except(&names),
        TypeFilter::Except(&many),
    ];
    let mut random = fastrand::Rng::with_seed(seed());
    for _ in 0..300 {
        let request = PageRequest {
            topic: "orders",
            message_types: types[random.usize(..types.len())],
            after: Position::new(random.i64(0..=last)),
            up_to: Position::new(random.i64(0..=head)),
            limit: random.usize(..8),
        };
        assert_eq!(page(source, &request), page(bus, &request), "{request:?}");
    }
}

/// The feed is served under a path, and the effects are in the database of the cursor.
#[test]
fn effects_on_the_database_of_the_cursor_commit_with_it() {
    let database = Arc::new(Memory::create());
    let bus = &mut database.connect();
    let orders = MessageDispatcher::<Orders>::new();
    for order in 1..=3 {
        orders.dispatch(bus, &OrderShipped { order }).unwrap();
    }
    let serving = Serving::nested("/feeds/here", feed_of(&database));
    let source = HttpSource::new(format!("{}/feeds/here/", serving.url())).unwrap();
    let elsewhere = Sqlite::create();
    let mut fails = true;
    let copy = |connection: &mut SqliteConnection, message: &Message<Orders>| {
        let order = message.payload().order();
        let raw = MessageDispatcher::<Payments>::new().dispatch(connection, &Paid { order })?;
        if order == 3 && std::mem::take(&mut fails) {
            return Err(format!("{raw} is rolled back").into());
        }
        Ok(())
    };
    let mut consumer = MessageConsumer::<Orders>::transactional("copies", copy);
    let far = &mut MessageBus::new(source, elsewhere.connect());
    assert_eq!(far.last_position().unwrap(), Position::new(3));
    consumer.handle_page(far).unwrap_err();
    assert_eq!(consumer.handle_page(far).unwrap(), 1);
    assert_eq!(
        stored(&mut far.state, "payments", Position::new(9)).len(),
        3
    );
}

fn messages_of_several_topics_come_in_one_order<D: Database + Send + 'static>() {
    let database = Arc::new(D::create());
    let bus = &mut database.connect();
    let serving = Serving::start(feed_of(&database));
    let elsewhere = D::create();
    let source = HttpSource::new(serving.url()).unwrap();
    let far = &mut MessageBus::new(source, elsewhere.connect());
    let publish = |bus: &mut D::Bus, order| -> Result<(), Error> {
        MessageDispatcher::<Payments>::new().dispatch(bus, &Paid { order })?;
        MessageDispatcher::<Orders>::new().dispatch(bus, &OrderShipped { order })?;
        MessageDispatcher::<Orders>::new().dispatch(bus, &OrderPlaced::number(order))?;
        Ok(())
    };
    let number = |entry: &Ledger| match entry {
        Ledger::Shipped(shipped) => shipped.order,
        Ledger::Cancelled(cancelled) => cancelled.order,
        Ledger::Paid(paid) => paid.order,
    };
    for order in 1..=5 {
        publish(bus, order).unwrap();
    }
    let mut all = consume(far, number);
    // One of the topics has no new messages.
    MessageDispatcher::<Payments>::new()
        .dispatch(bus, &Paid { order: 6 })
        .unwrap();
    all.extend(consume(far, number));
    assert_eq!(all, consume(bus, number));
    assert_eq!(all.len(), 11);
}

const PUBLISHERS: u64 = 4;
const EACH: u64 = 100;

fn in_flight_publishers_lose_nothing<D: Database + Send + 'static>() {
    let database = Arc::new(D::create());
    let serving = Serving::start(feed_of(&database));
    let elsewhere = D::create();
    let mut seen = thread::scope(|scope| {
        for publisher in 0..PUBLISHERS {
            let database = &database;
            scope.spawn(move || {
                let bus = &mut database.connect();
                let orders = MessageDispatcher::<Orders>::new();
                for number in 0..EACH {
                    let shipped = OrderShipped {
                        order: publisher * EACH + number,
                    };
                    orders.dispatch(bus, &shipped).unwrap();
                }
            });
        }
        let source = HttpSource::new(serving.url()).unwrap();
        let far = &mut MessageBus::new(source, elsewhere.connect());
        let mut seen = Vec::new();
        while seen.len() < usize::try_from(PUBLISHERS * EACH).unwrap() {
            seen.extend(consume(far, Orders::order));
        }
        seen
    });
    assert!(seen.is_sorted_by_key(|(position, _)| *position));
    seen.sort_by_key(|(_, order)| *order);
    assert!(
        seen.into_iter()
            .map(|(_, order)| order)
            .eq(0..PUBLISHERS * EACH)
    );
}
