//! The texts that create the function, and tables with other names.

use diesel::connection::SimpleConnection;
use persisting_message_bus::MessageDispatcher;
use persisting_message_bus::sql::TableSchema;
use persisting_message_bus_tests::strange_names;
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};

use crate::beside::Beside;
use crate::reader::Reader;

pub fn the_migration_has_the_text_of_the_call<D: Beside>() {
    let statements = D::statements(&TableSchema::default()).join(";\n\n");
    assert!(
        D::MIGRATION.contains(&statements),
        "the migration must contain:\n{statements}"
    );
}

pub fn the_migration_can_be_reverted_and_repeated<D: Beside>() {
    let database = D::create();
    let (mut connection, mut client) = (database.connect(), database.sqlx());
    let right = "'orders', 'OrderShipped', 1, '{\"order\":1}', NULL, NULL, NULL, NULL, NULL, NULL";
    connection.batch_execute(D::REVERSION).unwrap();
    let error = client.execute(&D::call(right)).unwrap_err();
    let is_missing = error.contains("message_bus_publish") && error.contains("does not exist");
    assert!(is_missing, "{error}");
    connection.batch_execute(D::MIGRATION).unwrap();
    client.execute(&D::call(right)).unwrap();
    assert_eq!(Reader::new(database.connect()).read(), [1]);
}

pub fn other_names_have_a_function_of_another_name<D: Beside>() {
    let database = D::create();
    let mut connection = database.connect();
    let mut schema = strange_names::schema();
    connection.batch_execute(D::STRANGE_TABLES).unwrap();
    for statement in D::statements(&schema) {
        connection.batch_execute(&statement).unwrap();
    }
    let orders = MessageDispatcher::<Orders>::new();
    let placed = OrderPlaced::number(7);
    let statement = orders.statement(D::KIND, &schema, &placed).unwrap();
    let mut client = database.sqlx();
    client.run(&statement).unwrap();
    let in_table = format!(
        "SELECT concat_ws('|', {}) FROM {}",
        D::STRANGE_NAMES[0],
        D::STRANGE_NAMES[1]
    );
    let rows = D::texts(&mut connection, &in_table);
    assert_eq!(
        rows,
        [format!("orders|OrderPlaced|{}", statement.message_id())]
    );

    // A schema without its function does not reach another table.
    schema.messages.table = "absent".into();
    let statement = orders.statement(D::KIND, &schema, &placed).unwrap();
    let error = client.run(&statement).unwrap_err();
    assert!(error.contains("message_bus_publish_absent"), "{error}");
}
