//! Positions that leap ahead, or go back, while publishers are in flight.

use std::sync::mpsc::channel;

use diesel::connection::{InstrumentationEvent, SimpleConnection};
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use persisting_message_bus::backend::{MessageSource, SlotObservations, TransactionControl};
use persisting_message_bus::{Message, MessageConsumer, MessageDispatcher, Position};
use persisting_message_bus_tests::databases::{Database, Postgres};
use persisting_message_bus_tests::topics::{OrderPlaced, Orders, Paid, Payments};

use super::{consume, orders};

fn place(connection: &mut PgConnection, order: u64) {
    orders()
        .dispatch(connection, &OrderPlaced::number(order))
        .unwrap();
}

fn set_positions(connection: &mut PgConnection, last: i64) {
    let set = format!("SELECT setval('public_messages_id_seq', {last})");
    connection.batch_execute(&set).unwrap();
}

/// Leaps, including those after which some bits of the positions are unchanged.
const LEAPS: [i64; 8] = [
    1 << 30,
    (1 << 31) - 1,
    1 << 31,
    3_000_000_000,
    (1 << 32) - 2,
    1 << 32,
    1_000_000_000_000,
    1 << 40,
];

#[test]
fn a_publisher_is_noticed_however_far_positions_leap() {
    for leap in LEAPS {
        let database = Postgres::create();
        let [mut slow, mut fast, mut bus] = [(); 3].map(|()| database.connect());
        let mut seen = Vec::new();
        let handler = |message: &Message<Orders>| {
            seen.push(message.payload().order());
            Ok(())
        };
        let mut consumer = MessageConsumer::<Orders>::external("has looked before", handler);
        place(&mut fast, 0);
        assert_eq!(consumer.handle_page(&mut bus).unwrap(), 1);

        slow.begin().unwrap();
        place(&mut slow, 1);
        place(&mut fast, 2);
        set_positions(&mut fast, 3 + leap);
        place(&mut fast, 3);
        assert_eq!(consumer.handle_page(&mut bus).unwrap(), 0, "{leap}");
        assert_eq!(consume(&mut bus), [0], "{leap}");
        slow.commit().unwrap();
        assert_eq!(consumer.handle_page(&mut bus).unwrap(), 3, "{leap}");
        drop(consumer);
        assert_eq!(seen, [0, 1, 2, 3], "{leap}");
        assert_eq!(consume(&mut bus), [1, 2, 3], "{leap}");
    }
}

/// Such a publisher has announced itself after the reader read the sequence.
#[test]
fn a_publisher_that_is_ahead_of_the_reader_does_not_hold_it_back() {
    for ahead in [0, 1, 1_000, 1 << 20, 1 << 31, 1 << 40] {
        let database = Postgres::create();
        let [mut slow, mut fast] = [(); 2].map(|()| database.connect());
        place(&mut fast, 0);
        set_positions(&mut fast, 1 + ahead);
        slow.begin().unwrap();
        place(&mut slow, 1);
        set_positions(&mut fast, 1);
        let last = fast
            .high_water_mark("orders", &mut SlotObservations::default())
            .unwrap();
        assert_eq!(last, Position::new(1), "{ahead}");
        slow.rollback().unwrap();
    }
}

#[test]
fn a_publisher_on_another_topic_is_ignored_below_four_billion_positions() {
    let database = Postgres::create();
    let [mut slow, mut fast] = [(); 2].map(|()| database.connect());
    slow.begin().unwrap();
    let payments = MessageDispatcher::<Payments>::new();
    payments.dispatch(&mut slow, &Paid { order: 1 }).unwrap();
    set_positions(&mut fast, (1 << 32) - 2);
    place(&mut fast, 2);
    assert_eq!(consume(&mut fast), [2]);
    slow.commit().unwrap();
}

#[test]
fn a_publisher_on_another_table_is_ignored_below_a_trillion_positions() {
    let databases = [(); 2].map(|()| Postgres::create());
    let [mut slow, mut fast] = databases.each_ref().map(Database::connect);
    slow.begin().unwrap();
    place(&mut slow, 1);
    set_positions(&mut fast, (1 << 40) - 2);
    place(&mut fast, 2);
    assert_eq!(consume(&mut fast), [2]);
    slow.commit().unwrap();
}

/// The lowest announcement counts, also when the others are much higher.
#[test]
fn the_earliest_of_several_publishers_holds_the_reader_back() {
    let database = Postgres::create();
    let mut bus = database.connect();
    place(&mut bus, 0);
    let mut publishers: Vec<_> = (1..5).map(|_| database.connect()).collect();
    for (order, publisher) in (1..).zip(&mut publishers) {
        publisher.begin().unwrap();
        place(publisher, order);
        set_positions(&mut bus, i64::try_from(order).unwrap() << 31);
    }
    let last: i64 = diesel::dsl::sql::<BigInt>("SELECT last_value FROM public_messages_id_seq")
        .get_result(&mut bus)
        .unwrap();
    let mut marks = Vec::new();
    for publisher in &mut publishers {
        marks.push(
            bus.high_water_mark("orders", &mut SlotObservations::default())
                .unwrap(),
        );
        publisher.commit().unwrap();
    }
    let positions = [1, 1 << 31, 2 << 31, 3 << 31].map(Position::new);
    assert_eq!(marks, positions);
    let high_water_mark = bus
        .high_water_mark("orders", &mut SlotObservations::default())
        .unwrap();
    assert_eq!(high_water_mark, Position::new(last));
    assert_eq!(consume(&mut bus), [0, 1, 2, 3, 4]);
}

/// A restart would put the rows below the position that the fence announces.
#[test]
fn positions_do_not_restart_between_a_fence_and_the_copied_rows() {
    let database = Postgres::create();
    let [mut publisher, mut other] = [(); 2].map(|()| database.connect());
    place(&mut other, 0);
    other.batch_execute("SET lock_timeout = '20ms'").unwrap();
    let (sender, refusals) = channel();
    publisher.set_instrumentation(move |event: InstrumentationEvent<'_>| {
        if let InstrumentationEvent::FinishQuery { query, .. } = event
            && query.to_string().contains("SELECT held FROM fence")
        {
            let truncate = "TRUNCATE public_messages RESTART IDENTITY";
            sender.send(other.batch_execute(truncate)).unwrap();
        }
    });
    let batch = (1..5_000).map(OrderPlaced::number);
    orders().dispatch_batch(&mut publisher, batch).unwrap();
    let refused = refusals
        .try_recv()
        .expect("a fence of its own")
        .unwrap_err();
    assert!(refused.to_string().contains("lock timeout"), "{refused}");
    assert_eq!(consume(&mut publisher).len(), 5_000);
}
