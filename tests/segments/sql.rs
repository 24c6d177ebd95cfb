//! Databases that several processes share, with a table for effects.

use diesel::connection::SimpleConnection;
use diesel::result::QueryResult;
use diesel::sql_types::BigInt;
use diesel::{PgConnection, RunQueryDsl, dsl};
use persisting_message_bus::backend::{
    MessageConsumerState, MessageRepository, MessageSource, TransactionControlOn,
};
use persisting_message_bus_tests::databases::{
    Database, Mariadb, Postgres, Server, Sqlite, connect_sqlite,
};

/// A database to which processes connect by its address.
pub trait Sql: Database<Bus = <Self as Sql>::Connection> + Send + 'static {
    type Connection: SimpleConnection
        + MessageRepository
        + MessageSource
        + MessageConsumerState
        + TransactionControlOn<<Self as Sql>::Connection>
        + Send
        + 'static;

    /// The column that numbers effects in the order in which they were inserted.
    const PLACE: &'static str;

    /// Whether all others wait for a process that writes.
    const HAS_ONE_WRITER: bool;

    /// Sets the isolation level of later transactions of the session, and limits its waits for locks.
    const SERIALIZABLE: &'static str;
    const WAITS_A_SECOND: &'static str;

    /// Selects the ids of the other sessions of the database, and ends one of them. SQLite has no sessions.
    const OTHER_SESSIONS: &'static str;
    const END_SESSION: &'static str;

    fn address(&self) -> String;

    fn connect_at(address: &str) -> Self::Connection;

    /// Returns all effects in the order in which they were inserted: orders and numbers.
    fn effects(bus: &mut Self::Connection) -> Vec<(u64, u64)>;

    fn count_effects(bus: &mut Self::Connection) -> u64;

    /// Returns the place of the last effect. Those that were rolled back have places, too.
    fn last_effect(bus: &mut Self::Connection) -> u64;

    /// Ends all other sessions of the database, and returns their number.
    fn end_other_sessions(bus: &mut Self::Connection) -> usize;

    /// Creates a database with a table for effects.
    fn with_effects() -> (Self, Self::Connection) {
        let database = Self::create();
        let mut bus = database.connect();
        bus.batch_execute(&format!(
            "CREATE TABLE effects (place {}, order_number bigint, number bigint)",
            Self::PLACE
        ))
        .unwrap();
        (database, bus)
    }
}

/// All tests use one database, each with a schema of its own.
fn named_after_schema(address: &str) -> PgConnection {
    let mut connection = Postgres::connect_to(address);
    connection
        .batch_execute("SELECT set_config('application_name', current_schema(), false)")
        .unwrap();
    connection
}

/// Inserts the effects of messages, by the numbers of their orders and their own.
pub fn effects(
    bus: &mut impl SimpleConnection,
    numbers: impl IntoIterator<Item = (u64, u64)>,
) -> QueryResult<()> {
    let rows = numbers.into_iter().map(|numbers| format!("{numbers:?}"));
    let rows: Vec<_> = rows.collect();
    let rows = rows.join(", ");
    bus.batch_execute(&format!(
        "INSERT INTO effects (order_number, number) VALUES {rows}"
    ))
}

macro_rules! sql {
    ($($database:ident: $place:expr, $one_writer:expr, [$serializable:expr, $waits:expr],
        [$others:expr, $end:expr], $address:expr, $connect:expr;)*) => {$(
        impl Sql for $database {
            type Connection = <$database as Database>::Bus;
            const PLACE: &'static str = $place;
            const HAS_ONE_WRITER: bool = $one_writer;
            const SERIALIZABLE: &'static str = $serializable;
            const WAITS_A_SECOND: &'static str = $waits;
            const OTHER_SESSIONS: &'static str = $others;
            const END_SESSION: &'static str = $end;

            fn address(&self) -> String {
                $address(self)
            }

            fn connect_at(address: &str) -> Self::Connection {
                $connect(address)
            }

            fn effects(bus: &mut Self::Connection) -> Vec<(u64, u64)> {
                let sql = "SELECT order_number, number FROM effects ORDER BY place";
                let effects: Vec<(i64, i64)> = dsl::sql::<(BigInt, BigInt)>(sql).load(bus).unwrap();
                let numbers = effects.into_iter();
                numbers.map(|(order, number)| (order.unsigned_abs(), number.unsigned_abs())).collect()
            }

            fn end_other_sessions(bus: &mut Self::Connection) -> usize {
                let others: Vec<i64> = dsl::sql::<BigInt>(Self::OTHER_SESSIONS).load(bus).unwrap();
                for session in &others {
                    let end = Self::END_SESSION.replace("{}", &session.to_string());
                    // It may have ended meanwhile.
                    let _ended = bus.batch_execute(&end);
                }
                others.len()
            }

            fn last_effect(bus: &mut Self::Connection) -> u64 {
                let sql = "SELECT coalesce(max(place), 0) FROM effects";
                dsl::sql::<BigInt>(sql).get_result::<i64>(bus).unwrap().unsigned_abs()
            }

            fn count_effects(bus: &mut Self::Connection) -> u64 {
                let sql = "SELECT count(*) FROM effects";
                dsl::sql::<BigInt>(sql).get_result::<i64>(bus).unwrap().unsigned_abs()
            }
        }
    )*};
}

sql! {
    Sqlite: "integer PRIMARY KEY AUTOINCREMENT", true, ["", ""], ["", ""], Sqlite::path, connect_sqlite;
    Postgres: "bigserial PRIMARY KEY", false, [
        "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE",
        "SET lock_timeout = '1s'"
    ], [
        "SELECT pid::bigint FROM pg_stat_activity
        WHERE application_name = current_schema() AND pid <> pg_backend_pid()",
        "SELECT pg_terminate_backend({})"
    ], Server::url, named_after_schema;
    Mariadb: "bigint AUTO_INCREMENT PRIMARY KEY", false, [
        "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE",
        "SET SESSION innodb_lock_wait_timeout = 1"
    ], [
        "SELECT CAST(id AS SIGNED) FROM information_schema.processlist
        WHERE db = database() AND id <> connection_id()",
        "KILL CONNECTION {}"
    ], Server::url, Mariadb::connect_to;
}
