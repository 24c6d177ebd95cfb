//! Publishers draw positions after their fence, whatever the tables and transactions are.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use persisting_message_bus::Headers;
use persisting_message_bus::backend::TransactionControl;
use persisting_message_bus::sql::migrate;
use persisting_message_bus_tests::databases::{
    Database, Postgres, Server, become_publisher, drop_role,
};
use persisting_message_bus_tests::topics::OrderPlaced;
use uuid::Uuid;

use super::{consume, orders};

fn place(connection: &mut PgConnection, order: u64) {
    orders()
        .dispatch(connection, &OrderPlaced::number(order))
        .unwrap();
}

fn place_two(connection: &mut PgConnection, order: u64) {
    let batch = (order..order + 2).map(OrderPlaced::number);
    orders().dispatch_batch(connection, batch).unwrap();
}

/// A number of messages that is published by COPY.
const MANY: usize = 4_200;

fn place_many(connection: &mut PgConnection, order: u64) {
    let batch = (order..order + 2).cycle().take(MANY);
    let batch = batch.map(OrderPlaced::number);
    orders().dispatch_batch(connection, batch).unwrap();
}

fn number(connection: &mut PgConnection, sql: &str) -> i64 {
    diesel::dsl::sql::<BigInt>(sql)
        .get_result(connection)
        .unwrap()
}

fn last_of(sequence: &str) -> String {
    format!("SELECT coalesce(pg_sequence_last_value('{sequence}'), 0)")
}

fn last_position(connection: &mut PgConnection) -> i64 {
    number(connection, &last_of("public_messages_id_seq"))
}

const KEY: &str = "(classid::bigint << 32 | objid::bigint)";

/// Returns the common part of the fence keys of "orders", taken from a message that is rolled back.
fn common_key(connection: &mut PgConnection, sequence: &str) -> i64 {
    let last = number(connection, &last_of(sequence));
    connection.begin().unwrap();
    place(connection, 0);
    let key = format!(
        "SELECT {KEY} FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
    );
    let key = number(connection, &key);
    connection.rollback().unwrap();
    key ^ last
}

/// Returns whether a publisher waits for a fence with this key before the thread ends.
fn waits_for_fence(
    connection: &mut PgConnection,
    key: i64,
    publishing: &ScopedJoinHandle<'_, ()>,
) -> bool {
    let waiting = format!(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND {KEY} = {key}"
    );
    while !publishing.is_finished() {
        if number(connection, &waiting) > 0 {
            return true;
        }
        thread::sleep(Duration::from_millis(1));
    }
    false
}

#[test]
fn a_position_is_drawn_after_the_fence() {
    for publish in [place, place_two, place_many] {
        let database = Postgres::create();
        let [mut obstacle, mut publisher] = [(); 2].map(|()| database.connect());
        // This message makes the session know the sequence.
        place(&mut publisher, 0);
        let common = common_key(&mut obstacle, "public_messages_id_seq");
        let last = last_position(&mut obstacle);
        let key = common ^ last;
        obstacle.begin().unwrap();
        let lock = format!("SELECT pg_advisory_xact_lock({key})");
        obstacle.batch_execute(&lock).unwrap();
        thread::scope(|scope| {
            let publishing = scope.spawn(|| publish(&mut publisher, 1));
            waits_for_fence(&mut obstacle, key, &publishing);
            let drawn = last_position(&mut obstacle);
            obstacle.rollback().unwrap();
            assert_eq!(drawn, last);
        });
    }
}

#[test]
fn a_connection_that_goes_to_another_schema_holds_the_fence_there() {
    for publish in [place, place_two, place_many] {
        let databases = [(); 2].map(|()| Postgres::create());
        let [mut one, mut other] = [&databases[0], &databases[1]].map(Database::connect);
        let paths = [&mut one, &mut other].map(|connection| {
            let path = diesel::dsl::sql::<diesel::sql_types::Text>("SHOW search_path");
            path.get_result::<String>(connection).unwrap()
        });
        let mut publisher = databases[0].connect();
        // Often enough for the server to use a generic plan.
        for _ in 0..8 {
            publish(&mut publisher, 1);
        }
        publisher.begin().unwrap();
        publish(&mut publisher, 1);
        let set = format!("SET LOCAL search_path = {}", paths[1]);
        publisher.batch_execute(&set).unwrap();
        publish(&mut publisher, 2);
        place(&mut other, 4);
        assert!(consume(&mut other).is_empty());
        publisher.commit().unwrap();
        assert_eq!(consume(&mut other).first(), Some(&2));
        assert!(consume(&mut one).iter().all(|order| *order < 3));
    }
}

#[test]
fn a_recreated_table_has_its_own_fence() {
    for publish in [place, place_two, place_many] {
        let database = Postgres::create();
        let [mut publisher, mut other] = [(); 2].map(|()| database.connect());
        for _ in 0..8 {
            publish(&mut publisher, 1);
        }
        other
            .batch_execute(
                "DROP TABLE public_messages, message_consumer_state, message_failures,
                 message_consumer_segments, message_inbox, __diesel_schema_migrations",
            )
            .unwrap();
        migrate(&mut other).unwrap();
        publisher.begin().unwrap();
        publish(&mut publisher, 2);
        place(&mut other, 4);
        assert!(consume(&mut other).is_empty());
        publisher.commit().unwrap();
        assert_eq!(consume(&mut other).first(), Some(&2));
    }
}

/// Makes the position a serial column with this sequence.
fn make_serial(connection: &mut PgConnection, sequence: &str) {
    let serial = format!(
        "ALTER TABLE public_messages ALTER id DROP IDENTITY;
        CREATE SEQUENCE {sequence} OWNED BY public_messages.id;
        ALTER TABLE public_messages ALTER id SET DEFAULT nextval('{sequence}')"
    );
    connection.batch_execute(&serial).unwrap();
}

/// Makes the column draw from another sequence, and keeps the first one.
fn draw_from_another(connection: &mut PgConnection, sequence: &str) {
    let change = format!(
        "CREATE SEQUENCE second START 100000 OWNED BY public_messages.id;
        ALTER TABLE public_messages ALTER id SET DEFAULT nextval('second');
        ALTER SEQUENCE {sequence} OWNED BY NONE"
    );
    connection.batch_execute(&change).unwrap();
}

/// The change is noticed even if both sequences exist and nothing else has changed.
#[test]
fn another_sequence_of_the_column_is_noticed() {
    for sequence in ["first", "public_messages_id_seq"] {
        for publish in [place, place_two, place_many] {
            let database = Postgres::create();
            let [mut publisher, mut other] = [(); 2].map(|()| database.connect());
            make_serial(&mut other, sequence);
            for _ in 0..8 {
                publish(&mut publisher, 1);
            }
            assert!(!consume(&mut other).is_empty());
            draw_from_another(&mut other, sequence);
            publisher.begin().unwrap();
            publish(&mut publisher, 2);
            place(&mut other, 4);
            assert!(consume(&mut other).is_empty());
            publisher.commit().unwrap();
            assert_eq!(consume(&mut other).first(), Some(&2));
        }
    }
}

/// The session has cached that the first sequence belongs to the column.
#[test]
fn a_position_drawn_from_another_sequence_is_not_stored_under_the_wrong_fence() {
    let database = Postgres::create();
    let [mut publisher, mut other] = [(); 2].map(|()| database.connect());
    make_serial(&mut other, "public_messages_id_seq");
    for order in 0..8 {
        place(&mut publisher, order);
    }
    draw_from_another(&mut other, "public_messages_id_seq");
    // The single-statement path, in a transaction that Diesel does not know of.
    publisher.batch_execute("BEGIN").unwrap();
    let refused = orders().dispatch(&mut publisher, &OrderPlaced::number(8));
    assert!(refused.is_err());
    publisher.batch_execute("ROLLBACK").unwrap();
    place(&mut publisher, 9);
    assert_eq!(consume(&mut other), (0..8).chain([9]).collect::<Vec<_>>());
}

/// The library finds the sequence of a table by its name, which is faster than querying for it.
#[test]
fn a_sequence_that_only_has_the_name_of_the_columns_is_not_fenced() {
    let impostor = "ALTER TABLE public_messages ALTER id DROP IDENTITY;
        CREATE SEQUENCE theirs OWNED BY public_messages.id;
        ALTER TABLE public_messages ALTER id SET DEFAULT nextval('theirs');";
    for impostor in [
        impostor.to_owned(),
        format!("{impostor} CREATE SEQUENCE public_messages_id_seq"),
        format!("{impostor} CREATE SEQUENCE public_messages_id_seq START 1000000"),
    ] {
        let database = Postgres::create();
        let [mut obstacle, mut publisher] = [(); 2].map(|()| database.connect());
        obstacle.batch_execute(&impostor).unwrap();
        for order in 0..8 {
            place(&mut publisher, order);
        }
        // The session has drawn a number from the impostor, if there is one.
        let draw = "SELECT nextval(to_regclass('public_messages_id_seq'))";
        publisher.batch_execute(draw).unwrap();
        let common = common_key(&mut obstacle, "theirs");
        let key = common ^ number(&mut obstacle, &last_of("theirs"));
        obstacle.begin().unwrap();
        let lock = format!("SELECT pg_advisory_xact_lock({key})");
        obstacle.batch_execute(&lock).unwrap();
        thread::scope(|scope| {
            let publishing = scope.spawn(|| place(&mut publisher, 9));
            let waits = waits_for_fence(&mut obstacle, key, &publishing);
            assert!(
                waits,
                "the message was published without the fence of its sequence"
            );
            obstacle.rollback().unwrap();
        });
        assert_eq!(
            consume(&mut obstacle),
            (0..8).chain([9]).collect::<Vec<_>>()
        );
    }
}

#[test]
fn a_transaction_that_diesel_does_not_know_of_holds_few_fences() {
    let database = Postgres::create();
    let [mut publisher, mut other] = [(); 2].map(|()| database.connect());
    publisher.batch_execute("BEGIN").unwrap();
    for order in 0..200 {
        place(&mut publisher, order);
    }
    assert!(Postgres::fences(&mut other) <= 2);
    publisher.batch_execute("COMMIT").unwrap();
    assert_eq!(consume(&mut other).len(), 200);
}

#[test]
fn a_duplicate_leaves_a_transaction_usable_that_diesel_does_not_know_of() {
    let database = Postgres::create();
    let mut bus = database.connect();
    let with_id = Headers::new().with_message_id(Uuid::now_v7());
    bus.batch_execute("BEGIN").unwrap();
    let placed = OrderPlaced::number(1);
    let dispatch = |bus: &mut _| orders().dispatch_with(bus, &placed, with_id.clone());
    dispatch(&mut bus).unwrap();
    assert!(dispatch(&mut bus).unwrap_err().is_duplicate());
    bus.batch_execute("COMMIT").unwrap();
    assert_eq!(consume(&mut bus), [1]);
}

#[test]
fn batch_error_names_the_duplicate() {
    let database = Postgres::create();
    let mut bus = database.connect();
    let id = orders()
        .dispatch(&mut bus, &OrderPlaced::number(0))
        .unwrap();
    let dispatched = AtomicU32::new(0);
    let repeating = orders().with_decorator(move |headers: &mut Headers| {
        if dispatched.fetch_add(1, Relaxed) == 1_500 {
            headers.set_message_id(id);
        }
    });
    let batch = (1..MANY as u64).map(OrderPlaced::number);
    bus.begin().unwrap();
    let refused = repeating.dispatch_batch(&mut bus, batch).unwrap_err();
    assert!(refused.is_duplicate(), "{refused:#}");
    assert!(refused.to_string().contains(&id.to_string()), "{refused:#}");
    place(&mut bus, 1);
    bus.commit().unwrap();
    assert_eq!(consume(&mut bus), [0, 1]);
}

/// On tables with row policies, PostgreSQL refuses COPY and does not name a duplicate id.
#[test]
fn messages_are_published_under_row_level_security() {
    let database = Postgres::create();
    let mut bus = database.connect();
    let policy = "CREATE POLICY anything ON public_messages USING (true) WITH CHECK (true)";
    let role = become_publisher(&mut bus, policy);
    place_many(&mut bus, 1);
    let with_id = Headers::new().with_message_id(Uuid::now_v7());
    let placed = OrderPlaced::number(1);
    let mut dispatch = || orders().dispatch_with(&mut bus, &placed, with_id.clone());
    dispatch().unwrap();
    assert!(dispatch().unwrap_err().is_duplicate());
    bus.batch_execute("RESET ROLE").unwrap();
    assert_eq!(consume(&mut bus).len(), MANY + 1);
    drop_role(&mut bus, &role);
}
