//! What only PostgreSQL has: schemas, and operators that others can define.

use diesel::connection::{Connection, SimpleConnection};
use persisting_message_bus::sql::{TableSchema, postgres};
use persisting_message_bus_tests::databases::{Database, Postgres, become_role};

use crate::beside::{Beside, with_topic};
use crate::interleavings::overtake;

const CALL: &str = "message_bus_publish('orders', 'OrderShipped', 1, '{\"order\":1}')";

/// The `search_path` of a session often begins with the schema of its user.
#[test]
fn the_function_stores_in_its_schema_for_every_caller() {
    let database = Postgres::create();
    let mut connection = database.connect();
    let schema = Postgres::texts(&mut connection, "SELECT current_schema()::text").remove(0);
    let path = format!("SET search_path = \"$user\", {schema}");
    connection.batch_execute(&path).unwrap();
    for statement in postgres::publish_statements(&TableSchema::default()) {
        connection.batch_execute(&statement).unwrap();
    }
    let mut table_of_role = String::new();
    // The role ends with the transaction.
    connection.begin_test_transaction().unwrap();
    become_role(&mut connection, |role| {
        table_of_role = format!("{role}.public_messages");
        format!(
            "CREATE SCHEMA {role} AUTHORIZATION {role};
            CREATE TABLE {table_of_role} (LIKE {schema}.public_messages INCLUDING ALL);
            GRANT INSERT, SELECT ON ALL TABLES IN SCHEMA {schema}, {role} TO {role};
            GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema}, {role} TO {role};"
        )
    });
    connection
        .batch_execute(&format!("SELECT {schema}.{CALL}"))
        .unwrap();
    let counts = format!(
        "SELECT (SELECT count(*) FROM {schema}.public_messages) || ' and '
            || (SELECT count(*) FROM {table_of_role})"
    );
    assert_eq!(Postgres::texts(&mut connection, &counts), ["1 and 0"]);
}

#[test]
fn an_error_does_not_repeat_a_long_topic() {
    let database = Postgres::create();
    let mut client = database.sqlx();
    for (version, payload) in [("1", "{}"), ("0", "{}"), ("1", "{")] {
        let arguments = format!("repeat('\u{e4}', 10000), 'K', {version}, '{payload}'");
        let error = client.execute(&Postgres::call(&arguments)).unwrap_err();
        assert!(error.len() < 1000, "{}", error.len());
    }
    let error = client.execute(&Postgres::call("'a\nb', 'K', 1, '{}'"));
    let error = error.unwrap_err();
    assert!(
        error.contains("publishing a message failed: topic contains"),
        "{error}"
    );
}

/// An operator of exactly the types comes before one of the server that needs a conversion.
#[test]
fn an_operator_in_the_schema_does_not_change_the_announcement() {
    let database = with_topic::<Postgres>();
    database
        .connect()
        .batch_execute(
            "CREATE FUNCTION zero(bigint, integer) RETURNS bigint LANGUAGE sql AS 'SELECT 0::bigint';
            CREATE OPERATOR # (LEFTARG = bigint, RIGHTARG = integer, FUNCTION = zero)",
        )
        .unwrap();
    let mut client = database.sqlx();
    let (before, after) = overtake(&database, client.as_mut(), "READ COMMITTED");
    assert!(before.is_empty(), "{before:?}");
    assert_eq!(after, [1, 2]);
}
