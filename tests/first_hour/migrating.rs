//! `migrate` looks before it writes, and says what it cannot create.

use persisting_message_bus::MessageConsumer;
use persisting_message_bus::sql::TableSchema;
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};

use super::databases::Tables;
use super::{assert_says, ignore, on_databases, orders};

on_databases! {
    a_migration_of_the_application_can_have_the_same_date,
    tables_of_another_tool_are_enough,
    each_dropped_table_is_named,
    each_missing_column_is_named,
    a_table_of_another_program_is_named,
    tables_with_other_names_are_checked_and_not_created,
}

/// Dispatches a message and handles it.
fn use_tables<D: Database>(bus: &mut D::Bus) {
    orders().dispatch(bus, &OrderPlaced::number(1)).unwrap();
    let mut consumer = MessageConsumer::<Orders>::external("all", ignore);
    assert_eq!(consumer.handle_new_messages(bus).unwrap(), 1);
}

fn a_migration_of_the_application_can_have_the_same_date<D: Tables>() {
    let (_database, mut bus) = D::without_tables();
    let applications = "CREATE TABLE __diesel_schema_migrations (
            version VARCHAR(50) PRIMARY KEY NOT NULL,
            run_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP);
        INSERT INTO __diesel_schema_migrations (version) VALUES ('20261123000000')";
    D::run(&mut bus, applications).unwrap();
    D::migrate(&mut bus).unwrap();
    use_tables::<D>(&mut bus);
}

fn tables_of_another_tool_are_enough<D: Tables>() {
    let database = D::create();
    let mut bus = database.connect();
    D::run(&mut bus, "DROP TABLE __diesel_schema_migrations").unwrap();
    D::migrate(&mut bus).unwrap();
    let recorded = D::run(&mut bus, "SELECT version FROM __diesel_schema_migrations");
    assert!(recorded.is_err(), "something was written");
    use_tables::<D>(&mut bus);
}

fn each_dropped_table_is_named<D: Tables>() {
    for table in D::TABLES {
        let database = D::create();
        let mut bus = database.connect();
        D::run(&mut bus, &format!("DROP TABLE {table}")).unwrap();
        let missing = format!("the table \"{table}\" does not exist in the ");
        let error = D::migrate(&mut bus).unwrap_err();
        assert_says(&error, &[&missing, "__diesel_schema_migrations lists"]);
        let others = D::TABLES.iter().filter(|other| *other != table);
        for other in others {
            let other = format!("\"{other}\"");
            assert!(!error.to_string().contains(&other), "{error}");
        }
    }
}

fn each_missing_column_is_named<D: Tables>() {
    let database = D::create();
    let mut bus = database.connect();
    let rename = "ALTER TABLE message_failures RENAME COLUMN attempts TO tries";
    D::run(&mut bus, rename).unwrap();
    let error = D::migrate(&mut bus).unwrap_err();
    assert_says(
        &error,
        &["the table \"message_failures\" has no column \"attempts\""],
    );
}

fn a_table_of_another_program_is_named<D: Tables>() {
    let (_database, mut bus) = D::without_tables();
    D::run(&mut bus, "CREATE TABLE public_messages (id INTEGER)").unwrap();
    let error = D::migrate(&mut bus).unwrap_err();
    assert_says(
        &error,
        &[
            "the table \"public_messages\" has no column \"message_id\"",
            "the table \"message_inbox\" does not exist",
            "belongs to another program, rename it",
            "already exists",
        ],
    );
}

fn tables_with_other_names_are_checked_and_not_created<D: Tables>() {
    let database = D::create();
    let mut bus = database.connect();
    let mut schema = TableSchema::default();
    schema.messages.table = "domain_events".into();
    let error = D::migrate_named(&mut bus, &schema).unwrap_err();
    assert_says(
        &error,
        &[
            "the table \"domain_events\" does not exist",
            "create these with a migration of your own",
        ],
    );
    D::run(
        &mut bus,
        "ALTER TABLE public_messages RENAME TO domain_events",
    )
    .unwrap();
    D::migrate_named(&mut bus, &schema).unwrap();
    // The optional column is not needed.
    let drop = "ALTER TABLE domain_events DROP COLUMN message_version";
    D::run(&mut bus, drop).unwrap();
    schema.messages.message_version = None;
    D::migrate_named(&mut bus, &schema).unwrap();
}
