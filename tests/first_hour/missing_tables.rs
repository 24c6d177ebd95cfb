//! Without tables, each operation names the missing table, the place and the call that creates it.

use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection, SqliteConnection};
use persisting_message_bus::backend::{
    InboxEntry, MessageConsumerState, MessageInbox, MessageSource,
};
use persisting_message_bus::operate::{
    ConsumerKey, ConsumerStatus, MessageFailures, ParkedSelector,
};
use persisting_message_bus::sql::TableSchema;
use persisting_message_bus::{Error, MessageConsumer};
use persisting_message_bus_tests::databases::{Database, Postgres, Sqlite, connect_sqlite};
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};

use super::databases::Tables;
use super::{assert_says, ignore, on_databases, orders};

on_databases! {
    each_operation_names_the_missing_table,
    another_failure_does_not_name_tables,
}

const KEY: ConsumerKey<'static> = ConsumerKey {
    consumer: "all",
    topic: "orders",
};

const MIGRATE: &str = "call sql::migrate(&mut connection) before";

fn each_operation_names_the_missing_table<D: Tables>() {
    let (_database, mut bus) = D::without_tables();
    let messages = [
        "the table \"public_messages\" does not exist in the ",
        MIGRATE,
    ];
    let placed = || OrderPlaced::number(1);
    let error = orders().dispatch(&mut bus, &placed()).unwrap_err();
    assert_says(&error, &messages);
    let batch = (0..3).map(OrderPlaced::number);
    let error = orders().dispatch_batch(&mut bus, batch).unwrap_err();
    assert_says(&error, &messages);
    assert_says(&bus.current_head("orders").unwrap_err(), &messages);
    assert_says(&bus.last_position().unwrap_err(), &messages);

    let state = [
        "the table \"message_consumer_state\" does not exist",
        MIGRATE,
    ];
    let mut consumer = MessageConsumer::<Orders>::external("all", ignore);
    let error = consumer.handle_new_messages(&mut bus).unwrap_err();
    assert_eq!(error.consumer(), Some("all"));
    assert_says(&error, &[MIGRATE]);
    let error = ConsumerStatus::read(&mut bus, KEY).unwrap_err();
    assert_says(&error, &[MIGRATE]);
    assert_says(&bus.pause(KEY).unwrap_err(), &state);

    let failures = ["the table \"message_failures\" does not exist", MIGRATE];
    let error = bus.redrive(KEY, ParkedSelector::All).unwrap_err();
    assert_says(&error, &failures);
    let error = bus.receive(&InboxEntry {
        consumer: "all",
        source: "outside",
        message_id: "1",
    });
    let inbox = ["the table \"message_inbox\" does not exist", MIGRATE];
    assert_says(&error.unwrap_err(), &inbox);
}

/// The application has not created the inbox, which it does not use. Its own statement fails.
fn another_failure_does_not_name_tables<D: Tables>() {
    let database = D::create();
    let mut bus = database.connect();
    D::run(&mut bus, "DROP TABLE message_inbox").unwrap();
    let error = Error::from(D::run(&mut bus, "SELECT * FROM shop_orders").unwrap_err());
    let text = format!("{error:#}");
    assert!(
        text.contains("shop_orders") && !text.contains("inbox"),
        "{text}"
    );
    assert!(!error.is_retryable(), "{text}");
}

#[test]
fn a_transaction_of_postgres_names_the_call_too() {
    let (_database, mut bus) = Postgres::without_tables();
    for isolation in ["READ COMMITTED", "SERIALIZABLE"] {
        let error = bus.transaction(|bus: &mut PgConnection| {
            bus.batch_execute(&format!("SET TRANSACTION ISOLATION LEVEL {isolation}"))?;
            orders().dispatch(bus, &OrderPlaced::number(1))
        });
        let parts = [
            "public_messages",
            "sql::migrate(&mut connection)",
            "search_path",
        ];
        assert_says(&error.unwrap_err(), &parts);
    }
}

#[test]
fn the_search_path_that_hides_the_tables_is_named() {
    let database = Postgres::create();
    let mut bus = database.connect();
    bus.batch_execute("SET search_path = pg_catalog").unwrap();
    let error = orders().dispatch(&mut bus, &OrderPlaced::number(1));
    assert_says(
        &error.unwrap_err(),
        &["search_path (pg_catalog)", "database \""],
    );
}

#[test]
fn tables_in_an_attached_file_do_not_count() {
    let database = Sqlite::create();
    let folder = tempfile::tempdir().unwrap();
    let main = folder.path().join("main.db");
    let mut bus = connect_sqlite(main.to_str().unwrap());
    let path: String = {
        use diesel::{RunQueryDsl, dsl::sql, sql_types::Text};
        let file = "SELECT file FROM pragma_database_list WHERE name = 'main'";
        sql::<Text>(file)
            .get_result(&mut database.connect())
            .unwrap()
    };
    orders()
        .dispatch(&mut database.connect(), &OrderPlaced::number(1))
        .unwrap();
    // The last position is then looked for in the main file.
    let attach = format!(
        "ATTACH '{path}' AS shop; CREATE TABLE other (id INTEGER PRIMARY KEY AUTOINCREMENT)"
    );
    bus.batch_execute(&attach).unwrap();
    let error = bus.current_head("orders").unwrap_err();
    let parts = [
        "the table \"public_messages\" does not exist in the file ",
        "main.db",
        "attached database \"shop\" do not count",
        &path,
    ];
    assert_says(&error, &parts);
}

#[test]
fn a_database_in_memory_is_named() {
    let mut bus = SqliteConnection::establish(":memory:").unwrap();
    let error = orders().dispatch(&mut bus, &OrderPlaced::number(1));
    assert_says(&error.unwrap_err(), &["in the database in memory", MIGRATE]);
}

#[test]
fn tables_with_other_names_must_be_created() {
    let database = Sqlite::create();
    let mut bus = database.connect();
    let mut schema = TableSchema::default();
    schema.messages.table = "domain_events".into();
    let error = orders().dispatch(&mut schema.bind(&mut bus), &OrderPlaced::number(1));
    let parts = [
        "\"domain_events\" does not exist",
        "correct the names in the TableSchema",
    ];
    assert_says(&error.unwrap_err(), &parts);
}
