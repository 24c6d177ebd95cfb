//! Databases that several processes share, with a table for effects.

use diesel::connection::SimpleConnection;
use diesel::result::QueryResult;
use diesel::sql_types::BigInt;
use diesel::{RunQueryDsl, dsl};
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

    fn address(&self) -> String;

    fn connect_at(address: &str) -> Self::Connection;

    /// Returns all effects in the order in which they were inserted: orders and numbers.
    fn effects(bus: &mut Self::Connection) -> Vec<(u64, u64)>;

    fn count_effects(bus: &mut Self::Connection) -> u64;

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

/// Inserts the effect of a message.
pub fn effect(bus: &mut impl SimpleConnection, order: u64, number: u64) -> QueryResult<()> {
    bus.batch_execute(&format!(
        "INSERT INTO effects (order_number, number) VALUES ({order}, {number})"
    ))
}

macro_rules! sql {
    ($($database:ident: $place:expr, $one_writer:expr, $address:expr, $connect:expr;)*) => {$(
        impl Sql for $database {
            type Connection = <$database as Database>::Bus;
            const PLACE: &'static str = $place;
            const HAS_ONE_WRITER: bool = $one_writer;

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

            fn count_effects(bus: &mut Self::Connection) -> u64 {
                let sql = "SELECT count(*) FROM effects";
                dsl::sql::<BigInt>(sql).get_result::<i64>(bus).unwrap().unsigned_abs()
            }
        }
    )*};
}

sql! {
    Sqlite: "integer PRIMARY KEY AUTOINCREMENT", true, Sqlite::path, connect_sqlite;
    Postgres: "bigserial PRIMARY KEY", false, Server::url, Postgres::connect_to;
    Mariadb: "bigint AUTO_INCREMENT PRIMARY KEY", false, Server::url, Mariadb::connect_to;
}
