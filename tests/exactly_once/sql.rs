use diesel::connection::SimpleConnection;
use diesel::result::QueryResult;
use diesel::sql_types::BigInt;
use diesel::{Connection, RunQueryDsl, dsl};
use persisting_message_bus_tests::databases::{
    Database, Mariadb, PooledMariadb, PooledPostgres, PooledSqlite, Postgres, Sqlite,
};

use super::deeds::{self, Deed};

/// A database to which handlers send their own statements.
pub trait Sql: Database<Bus = <Self as Sql>::Connection> {
    /// The connection.
    type Connection: Connection
        + persisting_message_bus::backend::MessageRepository
        + persisting_message_bus::backend::MessageSource
        + persisting_message_bus::backend::MessageConsumerState
        + persisting_message_bus::backend::MessageInbox
        + persisting_message_bus::backend::TransactionControlOn<<Self as Sql>::Connection>
        + 'static;

    /// The deeds with which handlers leave or break their transaction.
    const DEEDS: &'static [Deed];

    /// Statements that are allowed.
    const HARMLESS: &'static [&'static str];

    /// The setting of a statement timeout, and a statement that exceeds it.
    const TOO_SLOW: Option<[&'static str; 2]>;

    /// A statement that ends its own connection.
    const KILLS_ITSELF: Option<&'static str>;

    /// Runs a statement by loading its rows.
    fn load(bus: &mut Self::Connection, sql: &str) -> QueryResult<Vec<i64>>;

    fn numbers(bus: &mut Self::Connection, sql: &str) -> Vec<i64> {
        Self::load(bus, sql).unwrap()
    }

    /// Adds tables for effects.
    fn prepare() -> (Self, Self::Connection) {
        let database = Self::create();
        let mut bus = database.connect();
        for table in [
            "CREATE TABLE effects (number bigint)",
            "CREATE TABLE once (number integer PRIMARY KEY)",
            "CREATE TABLE scratch (number bigint)",
            "INSERT INTO once VALUES (1)",
        ] {
            bus.batch_execute(table).unwrap();
        }
        deeds::prepare(&mut bus, Self::DEEDS);
        (database, bus)
    }
}

macro_rules! sql {
    ($($database:ty: $deeds:path, $harmless:path, $slow:expr, $kill:expr;)*) => {$(
        impl Sql for $database {
            type Connection = <$database as Database>::Bus;
            const DEEDS: &'static [Deed] = &$deeds;
            const HARMLESS: &'static [&'static str] = &$harmless;
            const TOO_SLOW: Option<[&'static str; 2]> = $slow;
            const KILLS_ITSELF: Option<&'static str> = $kill;

            fn load(bus: &mut Self::Connection, sql: &str) -> QueryResult<Vec<i64>> {
                dsl::sql::<BigInt>(sql).load(bus)
            }
        }
    )*};
}

const POSTGRES_SLOW: Option<[&str; 2]> =
    Some(["SET statement_timeout = '100ms'", "SELECT pg_sleep(1)"]);
const MARIADB_SLOW: Option<[&str; 2]> = Some([
    "SET max_statement_time = 0.1",
    "INSERT INTO scratch SELECT sleep(1)",
]);
const POSTGRES_KILL: Option<&str> = Some("SELECT pg_terminate_backend(pg_backend_pid())");
const MARIADB_KILL: Option<&str> = Some(
    "BEGIN NOT ATOMIC SET @kill = concat('KILL ', connection_id()); EXECUTE IMMEDIATE @kill; END",
);

sql! {
    Sqlite: deeds::SQLITE, deeds::HARMLESS_ON_SQLITE, None, None;
    PooledSqlite: deeds::SQLITE, deeds::HARMLESS_ON_SQLITE, None, None;
    Postgres: deeds::POSTGRES, deeds::HARMLESS_ON_POSTGRES, POSTGRES_SLOW, POSTGRES_KILL;
    PooledPostgres: deeds::POSTGRES, deeds::HARMLESS_ON_POSTGRES, POSTGRES_SLOW, POSTGRES_KILL;
    Mariadb: deeds::MARIADB, deeds::HARMLESS_ON_MARIADB, MARIADB_SLOW, MARIADB_KILL;
    PooledMariadb: deeds::MARIADB, deeds::HARMLESS_ON_MARIADB, MARIADB_SLOW, MARIADB_KILL;
}

/// Records that an order was handled.
pub fn effect(bus: &mut impl SimpleConnection, order: u64) -> QueryResult<()> {
    bus.batch_execute(&format!("INSERT INTO effects VALUES ({order})"))
}

/// Returns how often each of these orders was handled.
pub fn effects<D: Sql>(bus: &mut D::Connection, orders: impl Iterator<Item = u64>) -> Vec<i64> {
    let counts = orders.map(|order| {
        let sql = format!("SELECT count(*) FROM effects WHERE number = {order}");
        D::numbers(bus, &sql)[0]
    });
    counts.collect()
}
