//! A table that the PHP package robertbaelde/persisting-message-bus created and filled.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use persisting_message_bus::backend::{MessageSource, PageRequest, TypeFilter};
use persisting_message_bus::sql::TableSchema;
use persisting_message_bus::{
    EventSet, Message, MessageConsumer, ParallelConsumer, Position, Topic,
};
use persisting_message_bus_tests::databases::{Database, Mariadb};
use persisting_message_bus_tests::topics::{Closed, OrderPlaced, OrderShipped, Orders};

use super::orders;

const TABLE: &str = "CREATE TABLE `messages` (
    `id` bigint unsigned NOT NULL AUTO_INCREMENT,
    `message_id` varchar (255) NOT NULL,
    `topic` varchar (255) NOT NULL,
    `message_type` varchar (255) NOT NULL,
    `payload` varchar (1200) NOT NULL,
    `headers` varchar (1200) NOT NULL,
    `published_at` timestamp NOT NULL,
    PRIMARY KEY (`id` ASC),
    KEY `topic` (`topic`, `id` ASC)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4";

/// Creates the table of the PHP package. The other tables are those of the migration.
fn create() -> (Mariadb, MysqlConnection, TableSchema) {
    let database = Mariadb::create();
    let mut connection = database.connect();
    connection
        .batch_execute(&format!("DROP TABLE public_messages; {TABLE}"))
        .unwrap();
    let mut schema = TableSchema::default();
    schema.messages.table = "messages".into();
    schema.messages.message_version = None;
    schema.messages.correlation_id = None;
    schema.messages.key_slot = None;
    schema.messages.topic_index = "topic".into();
    (database, connection, schema)
}

/// Inserts a message as the PHP package does, with times in whole seconds.
fn publish(connection: &mut MysqlConnection, topic: &str, message_type: &str, payload: &str) {
    let headers = format!(
        r#"{{"__message_id":"0186a5b0-1f3b-4c2e-9c55-1f2e3d4c5b6a","__message_type":"{message_type}",
        "__message_topic":"{topic}","__time_of_recording":"2023-07-26 08:26:00.123456+0000",
        "tenant":"acme"}}"#
    );
    diesel::sql_query(
        "INSERT INTO messages (message_id, topic, message_type, payload, headers, published_at)
        VALUES (uuid(), ?, ?, ?, ?, '2023-07-26 08:26:00')",
    )
    .bind::<Text, _>(topic)
    .bind::<Text, _>(message_type)
    .bind::<Text, _>(payload)
    .bind::<Text, _>(headers)
    .execute(connection)
    .unwrap();
}

fn consume<S: EventSet>(
    connection: &mut MysqlConnection,
    schema: &TableSchema,
    mut each: impl FnMut(&Message<S>),
) -> usize {
    let mut consumer = MessageConsumer::<S>::external("all", |message: &Message<S>| {
        each(message);
        Ok(())
    });
    let mut handled = 0;
    loop {
        match consumer.handle_page(&mut schema.bind(connection)).unwrap() {
            0 => return handled,
            page => handled += page,
        }
    }
}

#[test]
fn messages_of_the_php_package_are_consumed_unchanged() {
    let (_database, mut connection, schema) = create();
    publish(
        &mut connection,
        "orders",
        "OrderPlaced",
        r#"{"order":1,"note":"ünïcödé"}"#,
    );
    publish(&mut connection, "orders", "OrderSent", r#"{"order":2}"#);
    let mut seen = Vec::new();
    consume::<Orders>(&mut connection, &schema, |message| {
        assert_eq!(
            message.recorded_at().to_rfc3339(),
            "2023-07-26T08:26:00+00:00"
        );
        assert_eq!(message.headers().unwrap()["tenant"], "acme");
        seen.push(message.payload().order());
    });
    assert_eq!(seen, [1, 2]);
}

#[test]
fn the_php_package_and_the_library_publish_side_by_side() {
    let (_database, mut connection, schema) = create();
    publish(
        &mut connection,
        "orders",
        "OrderPlaced",
        r#"{"order":1,"note":""}"#,
    );
    orders()
        .dispatch(
            &mut schema.bind(&mut connection),
            &OrderShipped { order: 2 },
        )
        .unwrap();
    publish(
        &mut connection,
        "orders",
        "OrderPlaced",
        r#"{"order":3,"note":""}"#,
    );
    let mut seen = Vec::new();
    consume::<Orders>(&mut connection, &schema, |message| {
        seen.push(message.payload().order());
    });
    assert_eq!(seen, [1, 2, 3]);
}

#[derive(Debug, Topic)]
#[topic(name = "orders", key = order)]
enum KeyedOrders {
    OrderPlaced(OrderPlaced),
}

#[test]
fn a_table_without_the_column_for_slots_is_divided_without_order_only() {
    let (_database, mut connection, schema) = create();
    for order in 1..=20 {
        let payload = format!(r#"{{"order":{order},"note":""}}"#);
        publish(&mut connection, "orders", "OrderPlaced", &payload);
    }
    let make = || MessageConsumer::<KeyedOrders>::external("all", |_| Ok(()));
    let mut bus = schema.bind(&mut connection);
    let refused = ParallelConsumer::by_key(make).handle_new_messages(&mut bus);
    let error = format!("{:#}", refused.unwrap_err());
    assert!(
        error.contains("\"messages\" has no column for the slots of keys: add it"),
        "{error}"
    );
    let handled = ParallelConsumer::unordered(make).handle_new_messages(&mut bus);
    assert_eq!(handled.unwrap(), 20);
}

#[derive(Debug, QueryableByName)]
struct Written {
    #[diesel(sql_type = Text)]
    message_id: String,
    #[diesel(sql_type = Text)]
    message_type: String,
    #[diesel(sql_type = Text)]
    payload: String,
    #[diesel(sql_type = Text)]
    headers: String,
    #[diesel(sql_type = Text)]
    published_at: String,
}

#[test]
fn messages_written_here_are_readable_by_the_php_consumer() {
    let (_database, mut connection, schema) = create();
    orders()
        .dispatch(
            &mut schema.bind(&mut connection),
            &OrderShipped { order: 7 },
        )
        .unwrap();
    let row: Written = diesel::sql_query(
        "SELECT message_id, message_type, payload, headers,
            CAST(published_at AS CHAR) AS published_at FROM messages WHERE topic = 'orders'",
    )
    .get_result(&mut connection)
    .unwrap();
    assert_eq!(row.message_type, "OrderShipped");
    let payload: serde_json::Value = serde_json::from_str(&row.payload).unwrap();
    assert_eq!(payload, serde_json::json!({"order": 7}));
    let headers: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(&row.headers).unwrap();
    assert_eq!(headers["__message_id"], row.message_id.as_str());
    assert_eq!(headers["__message_type"], "OrderShipped");
    assert_eq!(headers["__message_topic"], "orders");
    assert!(headers["__time_of_recording"].is_string());
    // The format that the PHP package parses: Y-m-d H:i:s.
    let parsed = chrono::NaiveDateTime::parse_from_str(&row.published_at, "%Y-%m-%d %H:%M:%S");
    assert!(parsed.is_ok(), "{row:?}");
}

#[test]
fn a_payload_that_its_column_would_truncate_is_refused() {
    let (_database, mut connection, schema) = create();
    let placed = OrderPlaced {
        order: 1,
        note: "x".repeat(1_200),
    };
    let error = orders()
        .dispatch(&mut schema.bind(&mut connection), &placed)
        .unwrap_err();
    assert!(format!("{error:#}").contains("payload"), "{error:#}");
    assert_eq!(consume::<Orders>(&mut connection, &schema, |_| {}), 0);
}

#[test]
fn names_that_differ_in_case_are_different() {
    let (_database, mut connection, schema) = create();
    publish(&mut connection, "Orders", "OrderShipped", r#"{"order":1}"#);
    publish(&mut connection, "orders", "ORDERSHIPPED", r#"{"order":2}"#);
    publish(&mut connection, "orders", "OrderShipped", r#"{"order":3}"#);
    publish(&mut connection, "ORDERS", "OrderShipped", r#"{"order":4}"#);
    let mut seen = Vec::new();
    consume::<Closed>(&mut connection, &schema, |message| {
        seen.push(message.position().get());
    });
    assert_eq!(seen, [3]);
}

#[test]
fn a_page_reads_its_own_rows_only() {
    for is_legacy in [true, false] {
        let (_database, mut connection, schema) = if is_legacy {
            create()
        } else {
            let database = Mariadb::create();
            let connection = database.connect();
            (database, connection, TableSchema::default())
        };
        let table = &schema.messages.table;
        diesel::sql_query(format!(
            "INSERT INTO {table} (message_id, topic, message_type, payload, headers, published_at)
            SELECT uuid(), if(seq % 3 = 0, 'payments', 'orders'), 'OrderShipped', '{{\"order\":1}}',
                '{{}}', now() FROM seq_1_to_30000"
        ))
        .execute(&mut connection)
        .unwrap();
        let mut bus = schema.bind(&mut connection);
        bus.current_head("orders").unwrap();
        let before = rows_read(&mut connection);
        let mut bus = schema.bind(&mut connection);
        assert_eq!(
            bus.head("orders", Position::new(30_000))
                .unwrap()
                .position
                .get(),
            29_999
        );
        let request = PageRequest {
            topic: "orders",
            part: persisting_message_bus::backend::Part::Whole,
            message_types: TypeFilter::Only(&["OrderShipped", "OrderSent"]),
            after: Position::new(20_000),
            up_to: Position::new(29_999),
            limit: 100,
        };
        let mut received = 0;
        bus.read_page(&request, &mut |_| {
            received += 1;
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
        assert_eq!(received, 100);
        let read = rows_read(&mut connection) - before;
        assert!(
            read < 150,
            "{read} rows for a page of 100, legacy: {is_legacy}"
        );
    }
}

/// Returns the number of rows that the connection has read so far, except those of this statement.
fn rows_read(connection: &mut MysqlConnection) -> i64 {
    diesel::dsl::sql::<BigInt>(
        "SELECT CAST(sum(variable_value) AS SIGNED) FROM information_schema.session_status
        WHERE variable_name LIKE 'Handler_read%' AND variable_name <> 'Handler_read_rnd_next'",
    )
    .get_result(connection)
    .unwrap()
}
