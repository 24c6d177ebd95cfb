//! Publishers and tables in several schemas.

use std::collections::HashMap;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use persisting_message_bus::OnDuplicate;
use persisting_message_bus::backend::{MessageRepository, MessageSource, TransactionControl};
use persisting_message_bus_tests::databases::{Database, Postgres};
use persisting_message_bus_tests::statements::Log;
use persisting_message_bus_tests::topics::{OrderPlaced, raw_message};

use super::{consume, orders};

fn place(connection: &mut PgConnection, order: u64) {
    orders()
        .dispatch(connection, &OrderPlaced::number(order))
        .unwrap();
}

fn schema_of(database: &Postgres) -> String {
    diesel::dsl::sql::<Text>("SELECT current_schema()::text")
        .get_result(&mut database.connect())
        .unwrap()
}

fn set_schemas(connection: &mut PgConnection, local: &str, schemas: &[&str]) {
    let path = schemas.join(", ");
    connection
        .batch_execute(&format!("SET {local} search_path = {path}"))
        .unwrap();
}

fn number(connection: &mut PgConnection, sql: &str) -> i64 {
    diesel::dsl::sql::<BigInt>(&format!("SELECT {sql}"))
        .get_result(connection)
        .unwrap()
}

/// Returns the library's hash of a topic's name.
fn hash_of(topic: &str) -> u32 {
    topic.bytes().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

/// Returns two topics whose fence keys collide, although each is for another sequence.
fn topics_that_collide(sequences: [i64; 2]) -> [String; 2] {
    let [one, other] = sequences.map(|oid| u32::try_from(oid << 8 & 0xffff_ffff).unwrap());
    let difference = one ^ other;
    let mut seen = HashMap::new();
    for number in 0.. {
        let topic = format!("topic {number}");
        if let Some(number) = seen.get(&(hash_of(&topic) ^ difference)) {
            return [topic, format!("topic {number}")];
        }
        seen.insert(hash_of(&topic), number);
    }
    unreachable!("there are more names than hashes")
}

fn persist(connection: &mut PgConnection, topic: &str, messages: usize) {
    let message = || raw_message(topic, "{}".to_owned());
    let messages: Vec<_> = (0..messages).map(|_| message()).collect();
    connection.persist(&messages, OnDuplicate::Fail).unwrap();
}

#[test]
fn a_transaction_holds_a_fence_in_each_schema_whatever_the_keys_have_in_common() {
    let databases = [(); 2].map(|()| Postgres::create());
    let schemas = databases.each_ref().map(schema_of);
    let [mut publisher, mut other] = databases.each_ref().map(Database::connect);
    let sequences = schemas.each_ref().map(|schema| {
        let oid = format!("'{schema}.public_messages_id_seq'::regclass::oid::bigint");
        number(&mut other, &oid)
    });
    let [first, second] = topics_that_collide(sequences);
    // Readers of the other schema take this fence for one of theirs. Its position is so far ahead
    // that it holds nothing back.
    let ahead = format!("setval({}::oid::regclass, 1000000000)", sequences[0]);
    number(&mut publisher, &ahead);
    // One message, several messages, and a number that is published by COPY.
    for many_first in [1, 2, 4_000] {
        for many_second in [1, 2, 4_000] {
            let head = other.current_head(&second).unwrap();
            publisher.begin().unwrap();
            persist(&mut publisher, &first, many_first);
            set_schemas(&mut publisher, "LOCAL", &[&schemas[1]]);
            persist(&mut publisher, &second, many_second);
            persist(&mut other, &second, 1);
            let how = format!("{many_first}, then {many_second}");
            assert_eq!(other.current_head(&second).unwrap(), head, "{how}");
            publisher.commit().unwrap();
            let last = other.last_position().unwrap();
            assert_eq!(other.current_head(&second).unwrap(), last, "{how}");
        }
    }
}

/// A schema whose table has a sequence with an unusual name, and a second schema on the search
/// path, where a sequence has the usual name.
struct Neighbours {
    databases: [Postgres; 2],
    schemas: [String; 2],
}

impl Neighbours {
    fn create() -> Self {
        let databases = [(); 2].map(|()| Postgres::create());
        let schemas = databases.each_ref().map(schema_of);
        databases[0]
            .connect()
            .batch_execute("ALTER SEQUENCE public_messages_id_seq RENAME TO theirs")
            .unwrap();
        Self { databases, schemas }
    }

    /// Returns a session with both schemas on its search path.
    fn connect(&self) -> PgConnection {
        let mut connection = self.databases[0].connect();
        self.see_both(&mut connection);
        connection
    }

    fn see_both(&self, connection: &mut PgConnection) {
        let [one, other] = &self.schemas;
        set_schemas(connection, "", &[one, other]);
    }

    /// Makes the session draw from the other sequence the number that this sequence draws next.
    fn draw_the_same(&self, connection: &mut PgConnection) {
        let next = number(connection, "last_value + 1 FROM theirs");
        let same = format!("setval('public_messages_id_seq', {next})");
        assert_eq!(number(connection, &same), next);
    }
}

/// This holds even if the session has just drawn that position from the other sequence.
#[test]
fn a_sequence_of_another_schema_is_not_taken_for_the_tables_own() {
    for has_published_there in [false, true] {
        let neighbours = Neighbours::create();
        let mut publisher = neighbours.connect();
        let mut other = neighbours.databases[0].connect();
        if has_published_there {
            set_schemas(&mut publisher, "", &[&neighbours.schemas[1]]);
            place(&mut publisher, 100);
            place(&mut publisher, 101);
            neighbours.see_both(&mut publisher);
        }
        for order in 0..3 {
            place(&mut publisher, order);
        }
        assert_eq!(consume(&mut other), [0, 1, 2]);
        neighbours.draw_the_same(&mut publisher);
        // Diesel does not know of this transaction, so the message takes the single-statement path.
        publisher.batch_execute("BEGIN").unwrap();
        place(&mut publisher, 3);
        place(&mut other, 4);
        assert!(consume(&mut other).is_empty(), "it was not fenced");
        publisher.batch_execute("COMMIT").unwrap();
        assert_eq!(consume(&mut other), [3, 4]);
    }
}

fn statements_of_dispatch(connection: &mut PgConnection) -> usize {
    let log = Log::default();
    log.watch(connection);
    place(connection, 1);
    log.statements().len()
}

#[test]
fn a_message_takes_one_statement_once_the_session_knows_the_sequence() {
    let database = Postgres::create();
    let mut bus = database.connect();
    assert_eq!(statements_of_dispatch(&mut bus), 2);
    for _ in 0..8 {
        assert_eq!(statements_of_dispatch(&mut bus), 1);
    }
    // The session keeps what it knows of the sequence after a rollback.
    bus.begin().unwrap();
    place(&mut bus, 1);
    bus.rollback().unwrap();
    assert_eq!(statements_of_dispatch(&mut bus), 1);
}
