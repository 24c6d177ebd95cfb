//! The tables in which a test records effects, and changes of the stored event sets.

use std::ops::ControlFlow;

use diesel::sql_types::{BigInt, Text};
use diesel::{RunQueryDsl, dsl};
use persisting_message_bus::Position;
use persisting_message_bus::backend::{
    MessageConsumerState, MessageRepository, MessageSource, PageRequest, TransactionControlOn,
    TypeFilter,
};
use persisting_message_bus_tests::databases::{
    Database, Mariadb, Postgres, Server, Sqlite, connect_sqlite,
};

use super::history::Change;
use super::letters::TOPIC;
use super::records::Record;

/// A database to which other processes connect.
pub trait Sql: Database<Bus = <Self as Sql>::Connection> {
    type Connection: diesel::Connection
        + MessageRepository
        + MessageSource
        + MessageConsumerState
        + TransactionControlOn<<Self as Sql>::Connection>
        + Send
        + 'static;

    /// The statements that create the tables and the trigger. The trigger records each event set
    /// that is stored in a known row, and the cursor at that time.
    const PREPARE: &'static [&'static str];

    fn address(&self) -> String;

    fn connect_to(address: &str) -> Self::Connection;

    /// Returns the effects, in their order.
    fn effects(bus: &mut Self::Connection) -> Vec<Record>;

    /// Returns the changes of a consumer's stored event set, in their order.
    fn changes(bus: &mut Self::Connection, consumer: &str) -> Vec<Change>;

    fn prepare() -> Self {
        use diesel::connection::SimpleConnection;

        let database = Self::create();
        let mut bus = database.connect();
        for statement in Self::PREPARE {
            bus.batch_execute(statement).unwrap();
        }
        database
    }
}

/// Returns the positions and types of all messages.
pub fn messages(bus: &mut impl MessageSource) -> Vec<(i64, String)> {
    let request = PageRequest {
        topic: TOPIC,
        part: persisting_message_bus::backend::Part::Whole,
        message_types: TypeFilter::All,
        after: Position::START,
        up_to: Position::new(i64::MAX),
        limit: usize::MAX >> 1,
    };
    let mut messages = Vec::new();
    bus.read_page(&request, &mut |stored| {
        messages.push((stored.position.get(), stored.message_type.to_owned()));
        ControlFlow::Continue(())
    })
    .unwrap();
    messages
}

const EFFECTS: &str = "process, position, type FROM effects ORDER BY number";

macro_rules! sql {
    ($($database:ty: $address:path, $connect:expr, $prepare:expr;)*) => {$(
        impl Sql for $database {
            type Connection = <$database as Database>::Bus;
            const PREPARE: &'static [&'static str] = $prepare;

            fn address(&self) -> String {
                $address(self)
            }

            fn connect_to(address: &str) -> Self::Connection {
                let connect: fn(&str) -> Self::Connection = $connect;
                connect(address)
            }

            fn effects(bus: &mut Self::Connection) -> Vec<Record> {
                let rows = dsl::sql::<(BigInt, BigInt, Text)>(&format!("SELECT {EFFECTS}"))
                    .load::<(i64, i64, String)>(bus)
                    .unwrap();
                let record = |(process, position, message_type): (i64, i64, String)| Record {
                    process: usize::try_from(process).unwrap(),
                    position,
                    message_type,
                };
                rows.into_iter().map(record).collect()
            }

            fn changes(bus: &mut Self::Connection, consumer: &str) -> Vec<Change> {
                let sql = format!(
                    "SELECT position, event_set FROM changes WHERE consumer = '{consumer}' \
                     ORDER BY number"
                );
                let rows = dsl::sql::<(BigInt, Text)>(&sql).load::<(i64, String)>(bus).unwrap();
                let change = |(cursor, event_set): (i64, String)| Change::new(cursor, &event_set);
                rows.into_iter().map(change).collect()
            }
        }
    )*};
}

sql! {
    Sqlite: Sqlite::path, connect_sqlite, &[
        "CREATE TABLE effects (number integer PRIMARY KEY AUTOINCREMENT, process bigint,
            position bigint, type text)",
        "CREATE TABLE changes (number integer PRIMARY KEY AUTOINCREMENT, consumer text,
            position bigint, event_set text)",
        "CREATE TRIGGER changed AFTER UPDATE ON message_consumer_state
            WHEN OLD.event_set IS NOT NEW.event_set
            BEGIN INSERT INTO changes (consumer, position, event_set)
                VALUES (NEW.consumer, coalesce(NEW.\"cursor\", 0), NEW.event_set); END",
    ];
    Postgres: Server::url, <Postgres as Server>::connect_to, &[
        "CREATE TABLE effects (number bigserial PRIMARY KEY, process bigint, position bigint,
            type text)",
        "CREATE TABLE changes (number bigserial PRIMARY KEY, consumer text, position bigint,
            event_set text)",
        "CREATE FUNCTION note_change() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN INSERT INTO changes (consumer, position, event_set)
                VALUES (NEW.consumer, coalesce(NEW.\"cursor\", 0), NEW.event_set);
                RETURN NULL; END'",
        "CREATE TRIGGER changed AFTER UPDATE ON message_consumer_state FOR EACH ROW
            WHEN (OLD.event_set IS DISTINCT FROM NEW.event_set) EXECUTE FUNCTION note_change()",
    ];
    Mariadb: Server::url, <Mariadb as Server>::connect_to, &[
        "CREATE TABLE effects (number bigint AUTO_INCREMENT PRIMARY KEY, process bigint,
            position bigint, type text)",
        "CREATE TABLE changes (number bigint AUTO_INCREMENT PRIMARY KEY, consumer text,
            position bigint, event_set text)",
        "CREATE TRIGGER changed AFTER UPDATE ON message_consumer_state FOR EACH ROW
            IF NOT (OLD.event_set <=> NEW.event_set) THEN
                INSERT INTO changes (consumer, position, event_set)
                VALUES (NEW.consumer, coalesce(NEW.`cursor`, 0), NEW.event_set);
            END IF",
    ];
}
