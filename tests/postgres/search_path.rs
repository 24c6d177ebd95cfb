//! Sessions that find other tables, sequences and functions of the same names.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;
use persisting_message_bus::backend::{MessageSource, TransactionControl};
use persisting_message_bus::{Error, OnDuplicate};
use persisting_message_bus_tests::databases::{Database, Postgres};
use persisting_message_bus_tests::topics::OrderPlaced;
use uuid::Uuid;

use super::{consume, orders};

type Publish = fn(&mut PgConnection, u64) -> Result<(), Error>;

fn place(bus: &mut PgConnection, order: u64) -> Result<(), Error> {
    orders()
        .dispatch(bus, &OrderPlaced::number(order))
        .map(drop)
}

fn place_two(bus: &mut PgConnection, order: u64) -> Result<(), Error> {
    let batch = [order, order].map(OrderPlaced::number);
    orders().dispatch_batch(bus, batch).map(drop)
}

fn place_many(bus: &mut PgConnection, order: u64) -> Result<(), Error> {
    let batch = std::iter::repeat_n(order, 4_200).map(OrderPlaced::number);
    orders().dispatch_batch(bus, batch).map(drop)
}

fn ignoring(bus: &mut PgConnection, order: u64) -> Result<(), Error> {
    let orders = orders().on_duplicate(OnDuplicate::Ignore);
    orders.dispatch(bus, &OrderPlaced::number(order)).map(drop)
}

const WAYS: [Publish; 4] = [place, place_two, place_many, ignoring];

fn schema_of(database: &Postgres) -> String {
    diesel::dsl::sql::<Text>("SELECT current_schema()::text")
        .get_result(&mut database.connect())
        .unwrap()
}

/// Returns the different orders that are new.
fn consumed(bus: &mut PgConnection) -> Vec<u64> {
    let mut orders = consume(bus);
    orders.dedup();
    orders
}

/// A publisher is in flight while a message with a higher position is committed.
#[track_caller]
fn assert_fenced(publisher: &mut PgConnection, database: &Postgres, publish: Publish) {
    let mut other = database.connect();
    consume(&mut other);
    publisher.begin().unwrap();
    publish(publisher, 1).unwrap();
    place(&mut other, 2).unwrap();
    assert!(consume(&mut other).is_empty(), "it is not fenced");
    publisher.commit().unwrap();
    assert_eq!(consumed(&mut other), [1, 2]);
}

/// Names of the server that a schema before `pg_catalog` has, too. All of them fail or lie.
fn shadows() -> String {
    let functions = [
        "pg_advisory_xact_lock_shared(bigint) RETURNS void",
        "pg_advisory_xact_lock(bigint) RETURNS void",
        "pg_sequence_last_value(regclass) RETURNS bigint",
        "pg_get_serial_sequence(text, text) RETURNS text",
        "quote_ident(text) RETURNS text",
        "to_hex(bigint) RETURNS text",
        "current_setting(text, boolean) RETURNS text",
        "current_setting(text) RETURNS text",
        "set_config(text, text, boolean) RETURNS text",
        "has_sequence_privilege(oid, text) RETURNS boolean",
        "pg_is_in_recovery() RETURNS boolean",
        "pg_current_xact_id_if_assigned() RETURNS xid8",
        "pg_current_xact_id() RETURNS xid8",
        "currval(regclass) RETURNS bigint",
        "nextval(regclass) RETURNS bigint",
        "clock_timestamp() RETURNS timestamptz",
        "concat(text, text, text, text) RETURNS text",
        "pg_backend_pid() RETURNS integer",
        "version() RETURNS text",
    ]
    .map(|function| {
        format!(
            "CREATE FUNCTION {function} LANGUAGE plpgsql AS $$
            BEGIN RAISE EXCEPTION 'another function of this name'; END $$;"
        )
    });
    let tables = [
        "pg_locks",
        "pg_sequence",
        "pg_class",
        "pg_database",
        "pg_index",
        "pg_trigger",
    ]
    .map(|table| format!("CREATE TABLE {table} (none integer);"));
    let types = ["regclass", "oid", "text", "uuid"]
        .map(|name| format!("CREATE TYPE shadows.{name} AS (none integer);"));
    let operators = [("#", "bigint"), ("<<", "bigint"), ("||", "text")].map(|(operator, of)| {
        let right = if operator == "<<" { "integer" } else { of };
        format!(
            "CREATE FUNCTION lies(pg_catalog.{left}, {right}) RETURNS pg_catalog.{left}
            LANGUAGE sql IMMUTABLE AS 'SELECT $1';
            CREATE OPERATOR {operator} (
                LEFTARG = pg_catalog.{left}, RIGHTARG = {right}, FUNCTION = lies);",
            left = if of == "bigint" { "int8" } else { of },
            right = match right {
                "bigint" => "pg_catalog.int8",
                "integer" => "pg_catalog.int4",
                _ => "pg_catalog.text",
            },
        )
    });
    [
        functions.concat(),
        operators.concat(),
        tables.concat(),
        types.concat(),
    ]
    .concat()
}

#[test]
fn names_of_the_server_that_another_schema_has_are_not_mistaken() {
    let database = Postgres::create();
    let schema = schema_of(&database);
    let shadows = shadows().replace("TYPE shadows.", &format!("TYPE {schema}."));
    database.connect().batch_execute(&shadows).unwrap();
    for publish in WAYS {
        let mut publisher = database.connect();
        let set = format!("SET search_path = {schema}, pg_catalog");
        publisher.batch_execute(&set).unwrap();
        for _ in 0..7 {
            publish(&mut publisher, 0).unwrap();
        }
        assert_fenced(&mut publisher, &database, publish);
        publish(&mut publisher, 3).unwrap();
        assert_eq!(consumed(&mut publisher), [3]);
    }
}

#[test]
fn a_temporary_table_is_refused() {
    for create in [
        "CREATE TEMP TABLE public_messages (LIKE public_messages INCLUDING ALL)",
        "CREATE TEMP TABLE public_messages (LIKE public_messages);
        ALTER TABLE pg_temp.public_messages ADD UNIQUE (message_id)",
    ] {
        for publish in WAYS {
            let database = Postgres::create();
            let [mut publisher, mut other] = [(); 2].map(|()| database.connect());
            for _ in 0..7 {
                publish(&mut publisher, 0).unwrap();
            }
            consume(&mut other);
            publisher.batch_execute(create).unwrap();
            match publish(&mut publisher, 1) {
                // The session continues to use the table that it has found before.
                Ok(()) => assert_eq!(consumed(&mut other), [1]),
                Err(error) => {
                    let text = format!("{error:#}");
                    assert!(!error.is_duplicate() && !error.is_retryable(), "{text}");
                    assert!(
                        text.contains("temporary") || text.contains("sequence"),
                        "{text}"
                    );
                    assert!(consume(&mut other).is_empty());
                }
            }
            publisher
                .batch_execute("DROP TABLE pg_temp.public_messages")
                .unwrap();
            publish(&mut publisher, 2).unwrap();
            assert_eq!(consumed(&mut other), [2]);
        }
    }
}

/// Another role has a schema of its own name, which `"$user"` finds first.
#[test]
fn a_role_with_a_schema_of_its_own_publishes_there() {
    for publish in WAYS {
        let databases = [(); 2].map(|()| Postgres::create());
        let [one, role] = databases.each_ref().map(schema_of);
        let mut publisher = databases[0].connect();
        publisher
            .batch_execute(&format!(
                "CREATE ROLE {role} SUPERUSER; SET search_path = \"$user\", {one}"
            ))
            .unwrap();
        for _ in 0..7 {
            publish(&mut publisher, 0).unwrap();
        }
        let set = format!("SET ROLE {role}");
        publisher.batch_execute(&set).unwrap();
        assert_fenced(&mut publisher, &databases[1], publish);
        publisher.batch_execute("RESET ROLE").unwrap();
        assert_fenced(&mut publisher, &databases[0], publish);
        assert!(consume(&mut databases[1].connect()).is_empty());
        publisher
            .batch_execute(&format!("DROP ROLE {role}"))
            .unwrap();
    }
}

#[test]
fn a_table_that_moves_to_another_schema_is_not_mistaken_for_one_of_its_name() {
    for publish in WAYS {
        let databases = [(); 2].map(|()| Postgres::create());
        let [one, two] = databases.each_ref().map(schema_of);
        let mut publisher = databases[0].connect();
        let set = format!("SET search_path = {one}, {two}");
        publisher.batch_execute(&set).unwrap();
        for _ in 0..7 {
            publish(&mut publisher, 0).unwrap();
        }
        let third = format!("third_{}", Uuid::now_v7().simple());
        let mut owner = databases[0].connect();
        owner
            .batch_execute(&format!(
                "CREATE SCHEMA {third}; ALTER TABLE public_messages SET SCHEMA {third}"
            ))
            .unwrap();
        // The name now means the table of the second schema.
        assert_fenced(&mut publisher, &databases[1], publish);
        owner
            .batch_execute(&format!(
                "ALTER TABLE {third}.public_messages SET SCHEMA {one}; DROP SCHEMA {third}"
            ))
            .unwrap();
        assert_fenced(&mut publisher, &databases[0], publish);
        owner
            .batch_execute(&format!(
                "DROP TABLE public_messages; DROP TABLE {two}.public_messages"
            ))
            .unwrap();
        assert!(publish(&mut publisher, 1).is_err());
    }
}

/// The column draws from another sequence than its own, which is lower.
#[test]
fn a_replaced_default_assigns_no_positions_that_readers_have_passed() {
    let by_default = "ALTER TABLE public_messages ALTER id DROP IDENTITY;
        CREATE SEQUENCE own OWNED BY public_messages.id START 1000;
        ALTER TABLE public_messages ALTER id SET DEFAULT nextval('own')";
    for publish in WAYS {
        let database = Postgres::create();
        let [mut publisher, mut owner] = [(); 2].map(|()| database.connect());
        owner.batch_execute(by_default).unwrap();
        for _ in 0..7 {
            publish(&mut publisher, 0).unwrap();
        }
        consume(&mut owner);
        owner
            .batch_execute(
                "CREATE SEQUENCE lower;
                ALTER TABLE public_messages ALTER id SET DEFAULT nextval('lower')",
            )
            .unwrap();
        assert_fenced(&mut publisher, &database, publish);
    }
}

#[test]
fn a_sequence_of_another_table_is_no_sequence_of_this_one() {
    for change in [
        // The column shares the sequence of another table.
        "ALTER TABLE public_messages ALTER id DROP IDENTITY;
        CREATE TABLE another (id bigserial);
        ALTER TABLE public_messages ALTER id SET DEFAULT nextval('another_id_seq')",
        // The sequence belongs to no table any more.
        "ALTER TABLE public_messages ALTER id DROP IDENTITY;
        CREATE SEQUENCE public_messages_id_seq OWNED BY public_messages.id;
        ALTER TABLE public_messages ALTER id SET DEFAULT nextval('public_messages_id_seq');
        ALTER SEQUENCE public_messages_id_seq OWNED BY NONE",
    ] {
        for publish in WAYS {
            let database = Postgres::create();
            let mut bus = database.connect();
            bus.batch_execute(change).unwrap();
            let text = format!("{:#}", publish(&mut bus, 1).unwrap_err());
            assert!(
                text.contains("the sequence of public_messages.id"),
                "{text}"
            );
            let text = format!("{:#}", bus.current_head("orders").unwrap_err());
            assert!(text.contains("identity or a serial column"), "{text}");
        }
    }
}

/// Another table draws its numbers from the sequence of the messages.
#[test]
fn a_sequence_that_another_table_uses_has_gaps_only() {
    for publish in WAYS {
        let database = Postgres::create();
        let mut publisher = database.connect();
        publisher
            .batch_execute(
                "CREATE TABLE another (id bigint DEFAULT nextval('public_messages_id_seq'));
                INSERT INTO another DEFAULT VALUES",
            )
            .unwrap();
        publish(&mut publisher, 0).unwrap();
        publisher
            .batch_execute("INSERT INTO another DEFAULT VALUES")
            .unwrap();
        assert_fenced(&mut publisher, &database, publish);
    }
}

/// A column can own two sequences. `pg_get_serial_sequence` returns one of them.
#[test]
fn a_column_with_two_sequences_draws_from_the_announced_one() {
    for publish in WAYS {
        let database = Postgres::create();
        let mut publisher = database.connect();
        publisher
            .batch_execute("CREATE SEQUENCE second OWNED BY public_messages.id START 1000")
            .unwrap();
        for _ in 0..7 {
            publish(&mut publisher, 0).unwrap();
        }
        assert_fenced(&mut publisher, &database, publish);
    }
}
