use std::collections::HashSet;
use std::sync::Barrier;
use std::thread;

use chrono::{DateTime, SubsecRound, Utc};
use persisting_message_bus::backend::{MessageSource, TransactionControl};
use persisting_message_bus::{
    DefaultMessageDecorator, Error, Headers, MessageDispatcher, OnDuplicate, Position,
};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::seed;
use persisting_message_bus_tests::topics::{OrderCancelled, OrderPlaced, OrderShipped, Orders};
use uuid::Uuid;

use super::{consume, orders, stored};

pub fn a_message_comes_back_as_it_was_dispatched<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let noon: DateTime<Utc> = "2026-03-01T12:00:00.123456789Z".parse().unwrap();
    let orders = MessageDispatcher::<Orders>::undecorated()
        .with_decorator(DefaultMessageDecorator::with_clock(move || noon));
    let cancelled = OrderCancelled {
        order: 7,
        reason: None,
    };
    let headers = Headers::new().with("tenant", "acme").with("attempt", 3);
    let id = orders.dispatch_with(&mut bus, &cancelled, headers).unwrap();

    let [(position, raw)] = &stored(&mut bus, "orders")[..] else {
        panic!("one message");
    };
    assert_eq!(id.get_version_num(), 7);
    assert!(*position > Position::START);
    assert_eq!(raw.message_id, id);
    assert_eq!(raw.topic, "orders");
    assert_eq!(raw.message_type, "Cancelled");
    assert_eq!(raw.message_version, 1);
    assert_eq!(raw.published_at, noon.trunc_subsecs(6));
    assert_eq!(raw.payload, r#"{"order":7,"reason":null}"#);
    assert_eq!(
        raw.headers,
        format!(
            r#"{{"__message_id":"{id}","__message_type":"Cancelled","__message_topic":"orders","__time_of_recording":"2026-03-01T12:00:00.123456Z","attempt":3,"tenant":"acme"}}"#
        )
    );
}

pub fn a_batch_keeps_its_order_whatever_its_size<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let mut expected = Vec::new();
    for size in [0, 1, 2, 3, 100, 511, 512, 513, 1_500] {
        let numbers = (0..size).map(|index| 10_000 * size + index);
        let batch = numbers.clone().map(OrderPlaced::number);
        let written = orders().dispatch_batch(&mut bus, batch).unwrap();
        assert_eq!(written as u64, size);
        expected.extend(numbers);
    }
    let mixed = vec![
        Orders::from(OrderPlaced::number(1)),
        OrderShipped { order: 2 }.into(),
        OrderPlaced::number(3).into(),
    ];
    assert_eq!(orders().dispatch_batch(&mut bus, &mixed).unwrap(), 3);
    orders().dispatch(&mut bus, &mixed[1]).unwrap();
    expected.extend([1, 2, 3, 2]);
    assert_eq!(consume(&mut bus, "all"), expected);
}

pub fn a_message_dispatched_after_a_commit_has_the_larger_position<D: Database>() {
    let database = D::create();
    let (mut one, mut other) = (database.connect(), database.connect());
    for order in 0..50 {
        let bus = if order % 2 == 0 { &mut one } else { &mut other };
        orders().dispatch(bus, &OrderPlaced::number(order)).unwrap();
    }
    let positions: Vec<_> = stored(&mut one, "orders")
        .into_iter()
        .map(|(position, _)| position)
        .collect();
    assert!(positions.is_sorted_by(|first, second| first < second));
    assert_eq!(consume(&mut other, "all"), (0..50).collect::<Vec<_>>());
}

pub fn a_rolled_back_message_is_never_delivered<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    orders()
        .dispatch(&mut bus, &OrderPlaced::number(1))
        .unwrap();
    let refused = bus.in_transaction(|bus| {
        orders().dispatch(bus, &OrderPlaced::number(2))?;
        Err::<(), _>(Refused)
    });
    assert!(refused.is_err());
    orders()
        .dispatch(&mut bus, &OrderPlaced::number(3))
        .unwrap();
    assert_eq!(consume(&mut bus, "all"), [1, 3]);
}

pub fn a_rolled_back_savepoint_takes_only_its_own_messages<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    bus.in_transaction(|bus| {
        orders().dispatch(bus, &OrderPlaced::number(1))?;
        let inner = bus.in_transaction(|bus| {
            orders().dispatch(bus, &OrderPlaced::number(2))?;
            Err::<(), _>(Refused)
        });
        assert!(inner.is_err());
        orders().dispatch(bus, &OrderPlaced::number(3))
    })
    .unwrap();
    assert_eq!(consume(&mut bus, "all"), [1, 3]);
}

pub fn an_uncommitted_message_is_not_seen_by_others<D: Database>() {
    let database = D::create();
    let (mut publisher, mut consumer) = (database.connect(), database.connect());
    publisher
        .in_transaction(|publisher| {
            orders().dispatch(publisher, &OrderPlaced::number(1))?;
            assert_eq!(consumer.current_head("orders")?, Position::START);
            assert!(stored(&mut consumer, "orders").is_empty());
            assert_eq!(stored(publisher, "orders").len(), 1);
            Ok::<_, Error>(())
        })
        .unwrap();
    assert_eq!(consume(&mut consumer, "all"), [1]);
}

pub fn a_message_id_dispatched_twice_is_refused<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let id = Uuid::now_v7();
    let with_id = || Headers::new().with_message_id(id);
    let first = OrderPlaced::number(1);
    orders().dispatch_with(&mut bus, &first, with_id()).unwrap();
    let second = OrderPlaced::number(2);
    let error = orders()
        .dispatch_with(&mut bus, &second, with_id())
        .unwrap_err();
    assert!(error.is_duplicate());
    assert!(error.to_string().contains(&id.to_string()), "{error}");
    assert_eq!(consume(&mut bus, "all"), [1]);
}

pub fn a_message_id_twice_in_a_batch_is_refused<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let id = Uuid::now_v7();
    let same_id = MessageDispatcher::<Orders>::undecorated()
        .with_decorator(move |headers: &mut Headers| headers.set_message_id(id))
        .with_decorator(DefaultMessageDecorator::new());
    let batch = (0..1_000).map(OrderPlaced::number);
    let error = same_id.dispatch_batch(&mut bus, batch).unwrap_err();
    assert!(error.is_duplicate(), "{error}");
    assert!(stored(&mut bus, "orders").is_empty());
}

pub fn a_batch_is_written_as_a_whole_or_not_at_all<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let id = orders()
        .dispatch(&mut bus, &OrderPlaced::number(1))
        .unwrap();
    // The batch takes several statements, of which the last one fails.
    let last_has_that_id = MessageDispatcher::<Orders>::new().with_decorator(repeating(id, 1_000));
    let batch = (1_000..2_000).map(OrderPlaced::number);
    let error = last_has_that_id
        .dispatch_batch(&mut bus, batch)
        .unwrap_err();
    assert!(error.is_duplicate(), "{error}");
    assert!(error.to_string().contains(&id.to_string()), "{error}");
    assert_eq!(consume(&mut bus, "all"), [1]);
}

pub fn a_refused_batch_leaves_the_callers_transaction_usable<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let id = orders()
        .dispatch(&mut bus, &OrderPlaced::number(1))
        .unwrap();
    let last_has_that_id = MessageDispatcher::<Orders>::new().with_decorator(repeating(id, 1_000));
    bus.in_transaction(|bus| {
        let batch = (1_000..2_000).map(OrderPlaced::number);
        let error = last_has_that_id.dispatch_batch(bus, batch).unwrap_err();
        assert!(error.is_duplicate(), "{error}");
        assert!(error.to_string().contains(&id.to_string()), "{error}");
        orders().dispatch(bus, &OrderPlaced::number(2))
    })
    .unwrap();
    assert_eq!(consume(&mut bus, "all"), [1, 2]);
}

pub fn duplicates_are_ignored_when_on_duplicate_is_ignore<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let id = orders()
        .dispatch(&mut bus, &OrderPlaced::number(1))
        .unwrap();
    let third_has_that_id = MessageDispatcher::<Orders>::new()
        .on_duplicate(OnDuplicate::Ignore)
        .with_decorator(repeating(id, 3));
    let batch = (10..15).map(OrderPlaced::number);
    assert_eq!(
        third_has_that_id.dispatch_batch(&mut bus, batch).unwrap(),
        4
    );
    assert_eq!(consume(&mut bus, "all"), [1, 10, 11, 13, 14]);
}

pub fn a_missing_header_is_refused_and_nothing_written<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let placed = OrderPlaced::number(1);
    let bare = MessageDispatcher::<Orders>::undecorated();
    let error = bare.dispatch(&mut bus, &placed).unwrap_err();
    assert!(error.is_missing_header());
    assert!(error.to_string().contains("__message_id"), "{error}");

    let only_id = Headers::new().with_message_id(Uuid::now_v7());
    let error = bare.dispatch_with(&mut bus, &placed, only_id).unwrap_err();
    assert!(error.is_missing_header());
    assert!(error.to_string().contains("__time_of_recording"), "{error}");

    let both = Headers::new()
        .with_message_id(Uuid::now_v7())
        .with_recorded_at(Utc::now());
    assert!(stored(&mut bus, "orders").is_empty());
    bare.dispatch_with(&mut bus, &placed, both).unwrap();
    assert_eq!(consume(&mut bus, "all"), [1]);
}

pub fn decorators_run_in_their_order<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let orders = orders()
        .with_decorator(|headers: &mut Headers| {
            assert!(headers.message_id().is_some());
            headers.set("type", headers.message_type());
            headers.set("from", "the first");
        })
        .with_decorator(|headers: &mut Headers| headers.set("from", "the second"));
    orders
        .dispatch(&mut bus, &OrderShipped { order: 1 })
        .unwrap();
    let (_, raw) = stored(&mut bus, "orders").remove(0);
    let headers: serde_json::Value = serde_json::from_str(&raw.headers).unwrap();
    assert_eq!(headers["type"], "OrderShipped");
    assert_eq!(headers["from"], "the second");
}

pub fn publishers_on_many_threads_lose_nothing<D: Database>() {
    const PUBLISHERS: u64 = 8;
    let database = D::create();
    let seed = seed();
    let start = Barrier::new(PUBLISHERS as usize + 1);
    let committed: HashSet<u64> = thread::scope(|scope| {
        let publishers: Vec<_> = (0..PUBLISHERS)
            .map(|publisher| {
                let (database, start) = (&database, &start);
                scope.spawn(move || {
                    let mut random = fastrand::Rng::with_seed(seed + publisher);
                    start.wait();
                    publish_at_random(&mut database.connect(), publisher, &mut random)
                })
            })
            .collect();
        start.wait();
        let mut bus = database.connect();
        let mut seen = Vec::new();
        while !publishers.iter().all(thread::ScopedJoinHandle::is_finished) {
            seen.extend(consume(&mut bus, "all"));
        }
        seen.extend(consume(&mut bus, "all"));
        let once: HashSet<u64> = seen.iter().copied().collect();
        assert_eq!(seen.len(), once.len(), "a message came twice");
        let committed = publishers
            .into_iter()
            .flat_map(|publisher| publisher.join().expect("a publisher"))
            .collect();
        assert_eq!(once, committed);
        committed
    });
    assert!(committed.len() > 100);
}

/// Publishes batches and rolls some back; returns the orders that were committed.
fn publish_at_random<B>(bus: &mut B, publisher: u64, random: &mut fastrand::Rng) -> Vec<u64>
where
    B: TransactionControl + persisting_message_bus::backend::MessageRepository,
{
    let mut committed = Vec::new();
    for round in 0..40 {
        let first = publisher * 1_000_000 + round * 1_000;
        let numbers = first..first + random.u64(1..20);
        let rolls_back = random.bool();
        let result = bus.in_transaction(|bus| {
            orders().dispatch_batch(bus, numbers.clone().map(OrderPlaced::number))?;
            if rolls_back { Err(Refused) } else { Ok(()) }
        });
        if result.is_ok() {
            committed.extend(numbers);
        }
    }
    committed
}

/// Returns a decorator that gives the `n`th message an id that already exists.
fn repeating(id: Uuid, n: usize) -> impl Fn(&mut Headers) + Send + Sync {
    let count = std::sync::atomic::AtomicUsize::new(0);
    move |headers: &mut Headers| {
        if count.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1 == n {
            headers.set_message_id(id);
        }
    }
}

/// The error that makes a caller roll back.
#[derive(Debug)]
struct Refused;

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        panic!("{error:?}");
    }
}

pub fn a_message_is_found_by_its_id_on_its_topic<D: Database>() {
    let database = D::create();
    let bus = &mut database.connect();
    let ids: Vec<_> = (1..=3)
        .map(|order| orders().dispatch(bus, &OrderPlaced::number(order)))
        .collect::<Result<_, _>>()
        .expect("dispatched");
    let stored = stored(bus, "orders");
    for (id, (position, _)) in ids.iter().zip(&stored) {
        let found = bus.position_of("orders", *id).expect("a look");
        assert_eq!(found, Some(*position));
    }
    assert_eq!(bus.position_of("payments", ids[0]).expect("a look"), None);
    let unknown = bus.position_of("orders", Uuid::now_v7());
    assert_eq!(unknown.expect("a look"), None);
}
