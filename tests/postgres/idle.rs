//! Idle readers do not read the server's locks, and miss nothing.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use persisting_message_bus::backend::{MessageSource, SlotObservations, TransactionControl};
use persisting_message_bus::{Message, MessageConsumer, MessageDispatcher, Position, StartAt};
use persisting_message_bus_tests::databases::{Database, OwnPostgres, Postgres};
use persisting_message_bus_tests::topics::{
    Ledger, OrderPlaced, OrderShipped, Orders, Paid, Payments,
};

use super::{consume, orders};

fn place(bus: &mut PgConnection, order: u64) {
    orders().dispatch(bus, &OrderPlaced::number(order)).unwrap();
}

fn pay(bus: &mut PgConnection, order: u64) {
    let payments = MessageDispatcher::<Payments>::new();
    payments.dispatch(bus, &Paid { order }).unwrap();
}

fn ship(bus: &mut PgConnection, order: u64) {
    orders().dispatch(bus, &OrderShipped { order }).unwrap();
}

/// From now on, reading the locks fails.
const NO_LOCKS: &str = "
    CREATE FUNCTION fails() RETURNS boolean LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'the locks are read'; END $$;
    ALTER VIEW pg_catalog.pg_locks RENAME TO locks_of_server;
    CREATE VIEW pg_catalog.pg_locks AS
        SELECT locks.* FROM (SELECT public.fails() AS fails OFFSET 0) AS fails
        CROSS JOIN LATERAL (SELECT * FROM locks_of_server WHERE fails OFFSET 0) AS locks";

#[test]
fn the_locks_are_read_only_if_there_is_a_message_after_the_cursor() {
    let database = OwnPostgres::create();
    let [mut bus, mut publisher] = [(); 2].map(|()| database.connect());
    place(&mut publisher, 1);
    ship(&mut publisher, 2);
    let mut one = MessageConsumer::external("one", |_: &Message<Orders>| Ok(()));
    let mut several = MessageConsumer::external("several", |_: &Message<Ledger>| Ok(()));
    assert_eq!(one.handle_new_messages(&mut bus).unwrap(), 2);
    assert_eq!(several.handle_new_messages(&mut bus).unwrap(), 1);
    database.change_catalog(NO_LOCKS);
    assert_eq!(one.handle_new_messages(&mut bus).unwrap(), 0);
    assert_eq!(several.handle_new_messages(&mut bus).unwrap(), 0);
    pay(&mut publisher, 3);
    assert_eq!(one.handle_new_messages(&mut bus).unwrap(), 0);
    let error = several.handle_new_messages(&mut bus).unwrap_err();
    assert!(format!("{error:#}").contains("the locks are read"));
}

/// Everything that a poll checks, it also checks when there is nothing new.
#[test]
fn an_idle_reader_makes_every_check() {
    let idle = |bus: &mut PgConnection| {
        let beyond = bus.high_water_mark_beyond(
            "orders",
            Position::new(1),
            &mut SlotObservations::default(),
        );
        beyond.map_err(|error| format!("{error:#}"))
    };
    let database = Postgres::create();
    let mut bus = database.connect();
    place(&mut bus, 1);
    assert_eq!(idle(&mut bus), Ok(None));
    for (change, undo, problem) in [
        (
            "ALTER SEQUENCE public_messages_id_seq CACHE 20",
            "ALTER SEQUENCE public_messages_id_seq CACHE 1",
            "CACHE 20",
        ),
        (
            "BEGIN ISOLATION LEVEL REPEATABLE READ",
            "ROLLBACK",
            "REPEATABLE READ",
        ),
        (
            "ALTER SEQUENCE public_messages_id_seq RESTART",
            "SELECT setval('public_messages_id_seq', 1)",
            "setval",
        ),
        (
            "CREATE TEMP TABLE public_messages (LIKE public_messages INCLUDING ALL)",
            "DROP TABLE pg_temp.public_messages",
            "temporary",
        ),
    ] {
        bus.batch_execute(change).unwrap();
        let text = idle(&mut bus).expect_err(change);
        assert!(text.contains(problem), "{text}");
        bus.batch_execute(undo).unwrap();
        assert_eq!(idle(&mut bus), Ok(None), "{undo}");
    }
}

/// The plan must not depend on how many messages the topic has.
#[test]
fn an_idle_poll_does_not_scan_the_table() {
    let database = Postgres::create();
    let mut bus = database.connect();
    let batch = (0..5_000).map(OrderPlaced::number);
    orders().dispatch_batch(&mut bus, batch).unwrap();
    for order in 0..1_000 {
        pay(&mut bus, order);
    }
    bus.batch_execute("ANALYZE public_messages").unwrap();
    let scans = || {
        let scans = "seq_scan + coalesce(seq_tup_read, 0) FROM pg_stat_user_tables
            WHERE relid = 'public_messages'::regclass";
        diesel::dsl::sql::<BigInt>(&format!("SELECT {scans}"))
            .get_result::<i64>(&mut database.connect())
            .unwrap()
    };
    let flush = "SELECT pg_stat_force_next_flush()";
    bus.batch_execute(flush).unwrap();
    let before = scans();
    // Often enough for the server to use a generic plan.
    for _ in 0..12 {
        let beyond = bus.high_water_mark_beyond(
            "orders",
            Position::new(5_000),
            &mut SlotObservations::default(),
        );
        assert_eq!(beyond.unwrap(), None);
    }
    bus.batch_execute(flush).unwrap();
    assert_eq!(scans(), before);
}

/// A reset can put the cursor after messages that are not committed yet. The head at such a cursor
/// is no limit for a page.
#[test]
fn a_cursor_after_open_publishers_does_not_pass_them_when_it_goes_back() {
    let database = Postgres::create();
    let [mut bus, mut slow, mut fast] = [(); 3].map(|()| database.connect());
    place(&mut fast, 1);
    assert_eq!(consume(&mut bus), [1]);
    slow.begin().unwrap();
    place(&mut slow, 2);
    place(&mut fast, 3);
    let mut seen = Vec::new();
    let mut consumer = MessageConsumer::<Orders>::external("all", |message: &Message<Orders>| {
        seen.push(message.payload().order());
        Ok(())
    });
    let last = fast.last_position().unwrap();
    consumer.reset(&mut bus, StartAt::Position(last)).unwrap();
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 0);
    consumer.reset(&mut bus, StartAt::Start).unwrap();
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 1);
    slow.commit().unwrap();
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 2);
    drop(consumer);
    assert_eq!(seen, [1, 2, 3]);
}

/// One topic is idle and another is not: the idle one still limits the page.
#[test]
fn a_publisher_on_an_idle_topic_holds_back_the_others() {
    for idle_is_first in [true, false] {
        let database = Postgres::create();
        let [mut bus, mut slow, mut fast] = [(); 3].map(|()| database.connect());
        let publish = |bus: &mut PgConnection, is_idle_topic: bool, order: u64| {
            if is_idle_topic == idle_is_first {
                ship(bus, order);
            } else {
                pay(bus, order);
            }
        };
        let mut seen = Vec::new();
        let mut consumer = MessageConsumer::external("ledger", |message: &Message<Ledger>| {
            seen.push(message.position());
            Ok(())
        });
        assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 0);
        for round in 0..3 {
            slow.begin().unwrap();
            publish(&mut slow, true, 1);
            publish(&mut fast, false, 2);
            assert_eq!(
                consumer.handle_new_messages(&mut bus).unwrap(),
                0,
                "{round}"
            );
            slow.commit().unwrap();
            assert_eq!(
                consumer.handle_new_messages(&mut bus).unwrap(),
                2,
                "{round}"
            );
        }
        drop(consumer);
        assert!(seen.is_sorted(), "{seen:?}");
    }
}
