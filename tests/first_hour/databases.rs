//! What the tests do to the tables of a database.

use diesel::connection::SimpleConnection;
use diesel::{MysqlConnection, PgConnection, SqliteConnection};
use persisting_message_bus::Error;
use persisting_message_bus::sql::{TableSchema, migrate};
use persisting_message_bus_tests::databases::{Database, Mariadb, Postgres, Sqlite};

/// A database in SQL.
pub trait Tables: Database {
    /// The library's tables.
    const TABLES: &'static [&'static str];

    fn run(bus: &mut Self::Bus, statements: &str) -> diesel::QueryResult<()>;

    fn migrate(bus: &mut Self::Bus) -> Result<(), Error>;

    /// Migrates with the names of a schema.
    fn migrate_named(bus: &mut Self::Bus, schema: &TableSchema) -> Result<(), Error>;

    /// Creates a database without tables.
    fn without_tables() -> (Self, Self::Bus) {
        let database = Self::create();
        let mut bus = database.connect();
        for table in Self::TABLES.iter().chain([&"__diesel_schema_migrations"]) {
            Self::run(&mut bus, &format!("DROP TABLE {table}")).unwrap();
        }
        (database, bus)
    }
}

const OF_ALL: [&str; 5] = [
    "public_messages",
    "message_consumer_state",
    "message_consumer_segments",
    "message_failures",
    "message_inbox",
];

macro_rules! tables_of {
    ($database:ty, $connection:ty, $tables:expr) => {
        impl Tables for $database {
            const TABLES: &'static [&'static str] = $tables;

            fn run(bus: &mut $connection, statements: &str) -> diesel::QueryResult<()> {
                bus.batch_execute(statements)
            }

            fn migrate(bus: &mut $connection) -> Result<(), Error> {
                migrate(bus)
            }

            fn migrate_named(bus: &mut $connection, schema: &TableSchema) -> Result<(), Error> {
                migrate(&mut schema.bind(bus))
            }
        }
    };
}

tables_of!(Sqlite, SqliteConnection, &OF_ALL);
tables_of!(Postgres, PgConnection, &OF_ALL);
tables_of!(
    Mariadb,
    MysqlConnection,
    &[
        OF_ALL[0],
        OF_ALL[1],
        OF_ALL[2],
        OF_ALL[3],
        OF_ALL[4],
        "message_publisher_slots"
    ]
);
