use diesel_async::SimpleAsyncConnection;
use persisting_message_bus::sql::TableSchema;
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::topics::OrderPlaced;

use crate::databases::{AsyncDatabase, run};
use crate::transactions::{committed, orders};

pub fn a_missing_table_is_named<D: AsyncDatabase>() {
    let database = D::create();
    run(async {
        let mut connection = database.connect().await;
        connection
            .batch_execute("DROP TABLE public_messages")
            .await
            .unwrap();
        let refused = orders()
            .dispatch(&mut connection, &OrderPlaced::number(1))
            .await;
        let refused = format!("{:#}", refused.unwrap_err());
        let says = "the table \"public_messages\" does not exist";
        assert!(refused.contains(says), "{refused}");
    });
}

pub fn tables_can_have_other_names<D: AsyncDatabase>() {
    let database = D::create();
    let mut schema = TableSchema::default();
    schema.messages.table = "letters".into();
    schema.messages.payload = "content".into();
    run(async {
        let mut connection = database.connect().await;
        for rename in [
            "ALTER TABLE public_messages RENAME TO letters",
            "ALTER TABLE letters RENAME COLUMN payload TO content",
        ] {
            connection.batch_execute(rename).await.unwrap();
        }
        let mut bus = schema.bind(&mut connection);
        for order in 1..=2 {
            let placed = OrderPlaced::number(order);
            orders().dispatch(&mut bus, &placed).await.unwrap();
        }
        for rename in [
            "ALTER TABLE letters RENAME COLUMN content TO payload",
            "ALTER TABLE letters RENAME TO public_messages",
        ] {
            connection.batch_execute(rename).await.unwrap();
        }
    });
    let _still_there = database.sync().connect();
    assert_eq!(committed(&database), [1, 2]);
}
