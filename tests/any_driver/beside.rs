//! What the cases need of each database.

use std::sync::{Arc, Mutex};

use chrono::{DateTime, Datelike, Utc};
use diesel::RunQueryDsl;
use diesel::connection::SimpleConnection;
use diesel::dsl::sql;
use diesel::sql_types::Text;
use persisting_message_bus::backend::{
    MessageConsumerState, MessageRepository, MessageSource, RawMessage,
};
use persisting_message_bus::handler::{External, HandlerError};
use persisting_message_bus::sql::{
    Database as Kind, TableSchema, guard_foreign_inserts, mysql, postgres,
};
use persisting_message_bus::{Message, MessageConsumer, MessageDispatcher};
use persisting_message_bus_tests::databases::{Mariadb, Postgres, Server};
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};

use crate::clients::{self, Client};

/// A server on which other clients publish.
pub trait Beside: Server<Plain: SimpleConnection> {
    const KIND: Kind;
    /// Creates a message table with strange names, and what it needs.
    const STRANGE_TABLES: &'static str;
    /// The columns of topic, type and id of that table, and the table.
    const STRANGE_NAMES: [&'static str; 2];
    /// Creates a trigger that makes the message of order 1 wait, after it has its position, for the row
    /// of the table `gate`.
    const GATE: &'static [&'static str];
    /// Counts the sessions that wait at the gate, as a text.
    const WAITING_AT_GATE: &'static str;
    /// Wrong arguments that only this database has, each with its problem.
    const WRONG: &'static [(&'static str, &'static str, &'static str)];
    /// The migration that creates the tables.
    const MIGRATION: &'static str;

    /// Returns a client of each kind.
    fn clients(&self) -> Vec<Box<dyn Client>>;
    /// Returns a client of sqlx.
    fn sqlx(&self) -> Box<dyn Client>;
    /// Returns the statements that begin a transaction.
    fn begin(level: &str) -> Vec<String>;
    /// Returns the statement that publishes by hand, with nine literals as its arguments.
    fn call(arguments: &str) -> String;
    /// Returns the statements that create the function.
    fn statements(schema: &TableSchema) -> Vec<String>;
    /// Takes the announcement out of a statement that creates the function.
    fn without_announcement(statement: &str) -> String;
    fn guard(connection: &mut Self::Plain);
    /// Returns the rows of a query that selects one text.
    fn texts(connection: &mut Self::Plain, query: &str) -> Vec<String>;
    /// Returns an expression for any text, also one that the server refuses.
    fn literal(text: &str) -> String;
    /// Returns an expression for a time.
    fn time(time: DateTime<Utc>) -> String;
    /// Whether the function refuses the message, although the library does not.
    fn cannot_check(message: &RawMessage) -> bool;
}

impl Beside for Postgres {
    const KIND: Kind = Kind::Postgres;
    const STRANGE_TABLES: &'static str = r#"CREATE TABLE "my ""`Events`" (
        "the ID" bigserial PRIMARY KEY, "order" uuid NOT NULL UNIQUE, "select" text NOT NULL,
        "Type" text NOT NULL, "body" json NOT NULL, "meta;--" json NOT NULL,
        "at" timestamptz NOT NULL)"#;
    const STRANGE_NAMES: [&'static str; 2] = [r#""select", "Type", "order""#, r#""my ""`Events`""#];
    const GATE: &'static [&'static str] = &[
        "CREATE TABLE gate (id integer); INSERT INTO gate VALUES (1)",
        "CREATE FUNCTION wait_at_gate() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NEW.payload->>'order' = '1' THEN
                PERFORM id FROM gate FOR UPDATE;
            END IF;
            RETURN NEW;
        END $$",
        "CREATE TRIGGER waits AFTER INSERT ON public_messages FOR EACH ROW
        EXECUTE FUNCTION wait_at_gate()",
    ];
    const WAITING_AT_GATE: &'static str = "SELECT count(*)::text FROM pg_locks WHERE NOT granted
        AND pid IN (SELECT pid FROM pg_locks WHERE relation = 'gate'::regclass)";
    const WRONG: &'static [(&'static str, &'static str, &'static str)] = &[
        (
            "recorded_at",
            "'infinity'",
            "is outside of the years 0 to 9999",
        ),
        (
            "recorded_at",
            "'10000-01-01'",
            "is outside of the years 0 to 9999",
        ),
        (
            "recorded_at",
            "'0002-12-31 23:59:59Z BC'",
            "is outside of the years 0 to 9999",
        ),
        (
            "payload",
            "repeat('[', 128) || repeat(']', 128)",
            "deeper than 127 levels",
        ),
        ("payload", "repeat('[', 100000)", "is not JSON"),
    ];
    const MIGRATION: &'static str = include_str!(
        "../../crates/persisting-message-bus/migrations/postgres/2026-11-23-000000-persisting-message-bus_create_message_tables/up.sql"
    );

    fn clients(&self) -> Vec<Box<dyn Client>> {
        vec![
            self.sqlx(),
            Box::new(clients::TokioPostgres::connect(&self.url())),
            Box::new(clients::Script::python(&self.url())),
            Box::new(clients::Script::php(&self.url())),
        ]
    }

    fn sqlx(&self) -> Box<dyn Client> {
        Box::new(clients::SqlxPostgres::connect(&self.url()))
    }

    fn begin(level: &str) -> Vec<String> {
        vec![format!("BEGIN ISOLATION LEVEL {level}")]
    }

    fn call(arguments: &str) -> String {
        format!("SELECT message_bus_publish({arguments})")
    }

    fn statements(schema: &TableSchema) -> Vec<String> {
        postgres::publish_statements(schema)
    }

    fn without_announcement(statement: &str) -> String {
        statement.replace("WHERE CASE", "WHERE true OR CASE")
    }

    fn guard(connection: &mut Self::Plain) {
        guard_foreign_inserts(connection).unwrap();
    }

    fn texts(connection: &mut Self::Plain, query: &str) -> Vec<String> {
        sql::<Text>(query).load(connection).unwrap()
    }

    fn literal(text: &str) -> String {
        format!("convert_from('\\x{}', 'UTF8')", hex(text))
    }

    fn time(time: DateTime<Utc>) -> String {
        let year = time.year();
        let (year, era) = if year > 0 {
            (year, "")
        } else {
            (1 - year, " BC")
        };
        format!("'{year:04}-{}{era}'", time.format("%m-%d %H:%M:%S%.6fZ"))
    }

    fn cannot_check(_: &RawMessage) -> bool {
        false
    }
}

impl Beside for Mariadb {
    const KIND: Kind = Kind::Mysql;
    const STRANGE_TABLES: &'static str = r#"CREATE TABLE `my "``Events``` (
        `the ID` bigint AUTO_INCREMENT PRIMARY KEY, `order` char(36) NOT NULL UNIQUE,
        `select` varchar(255) NOT NULL, `Type` varchar(255) NOT NULL, `body` json NOT NULL,
        `meta;--` json NOT NULL, `at` datetime(6) NOT NULL,
        KEY `by topic` (`select`, `the ID`)) DEFAULT CHARACTER SET utf8mb4;
        CREATE TABLE `who?` (`what` varchar(255), `number` int, PRIMARY KEY (`what`, `number`))"#;
    const STRANGE_NAMES: [&'static str; 2] = ["`select`, `Type`, `order`", "`my \"``Events```"];
    const GATE: &'static [&'static str] = &[
        "CREATE TABLE gate (id integer PRIMARY KEY); INSERT INTO gate VALUES (1)",
        "CREATE TRIGGER waits AFTER INSERT ON public_messages FOR EACH ROW BEGIN
            DECLARE passed INT;
            IF NEW.payload LIKE '{\"order\":1,%' THEN
                SELECT id INTO passed FROM gate FOR UPDATE;
            END IF;
        END",
    ];
    const WAITING_AT_GATE: &'static str = "SELECT concat(count(*), '')
        FROM information_schema.innodb_trx
        JOIN information_schema.processlist ON id = trx_mysql_thread_id
        WHERE db = database() AND trx_state = 'LOCK WAIT'";
    const WRONG: &'static [(&'static str, &'static str, &'static str)] = &[
        ("recorded_at", "'x'", "Incorrect datetime value"),
        ("recorded_at", "'0000-00-00'", "is not a time"),
        ("message_id", "'x'", "is not a UUID"),
        ("message_id", "concat(uuid(), '\n')", "is not a UUID"),
        ("causation_id", "replace(uuid(), '-', '')", "is not a UUID"),
        (
            "payload",
            "concat(repeat('[', 128), repeat(']', 128))",
            "nests too deeply",
        ),
    ];
    const MIGRATION: &'static str = include_str!(
        "../../crates/persisting-message-bus/migrations/mysql/2026-11-23-000000-persisting-message-bus_create_message_tables/up.sql"
    );

    fn clients(&self) -> Vec<Box<dyn Client>> {
        vec![
            self.sqlx(),
            Box::new(clients::Script::python(&self.url())),
            Box::new(clients::Script::php(&self.url())),
        ]
    }

    fn sqlx(&self) -> Box<dyn Client> {
        Box::new(clients::SqlxMysql::connect(&self.url()))
    }

    fn begin(level: &str) -> Vec<String> {
        vec![
            format!("SET TRANSACTION ISOLATION LEVEL {level}"),
            "BEGIN".to_owned(),
        ]
    }

    fn call(arguments: &str) -> String {
        format!("CALL message_bus_publish({arguments})")
    }

    fn statements(schema: &TableSchema) -> Vec<String> {
        mysql::publish_statements(schema)
    }

    fn without_announcement(statement: &str) -> String {
        statement
            .replace(" FOR UPDATE", "")
            .replace(" SKIP LOCKED", "")
    }

    fn guard(connection: &mut Self::Plain) {
        guard_foreign_inserts(connection).unwrap();
    }

    fn texts(connection: &mut Self::Plain, query: &str) -> Vec<String> {
        sql::<Text>(query).load(connection).unwrap()
    }

    fn literal(text: &str) -> String {
        format!("convert(x'{}' USING utf8mb4)", hex(text))
    }

    fn time(time: DateTime<Utc>) -> String {
        format!("'{:04}-{}'", time.year(), time.format("%m-%d %H:%M:%S%.6f"))
    }

    /// MariaDB takes for JSON neither more than 31 levels nor half a surrogate pair.
    fn cannot_check(message: &RawMessage) -> bool {
        let json = [&message.payload, &message.headers];
        json.iter().any(|it| it.matches('[').count() > 31)
            || [r"\ud800", r"\udc00"]
                .iter()
                .any(|half| message.payload.contains(half))
    }
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns the arguments of the call for a message.
pub fn arguments_of<D: Beside>(message: &RawMessage) -> String {
    let flow = message.correlation_id.as_deref();
    [
        D::literal(&message.topic),
        D::literal(&message.message_type),
        message.message_version.to_string(),
        D::literal(&message.payload),
        D::literal(&message.headers),
        format!("'{}'", message.message_id),
        // No leap second, and no more than microseconds.
        D::time(DateTime::from_timestamp_micros(message.published_at.timestamp_micros()).unwrap()),
        flow.map_or_else(|| "NULL".to_owned(), D::literal),
        "NULL".to_owned(),
    ]
    .join(", ")
}

/// A database with the slots of the topic, so that publishers of first messages do not wait.
pub fn with_topic<D: Beside>() -> D {
    let database = D::create();
    database.connect().current_head("orders").unwrap();
    database
}

pub fn begin<D: Beside>(client: &mut dyn Client, level: &str) {
    for statement in D::begin(level) {
        client.execute(&statement).unwrap();
    }
}

/// Publishes an order with this library.
pub fn dispatch(bus: &mut impl MessageRepository, order: u64) {
    let placed = OrderPlaced::number(order);
    MessageDispatcher::<Orders>::new()
        .dispatch(bus, &placed)
        .unwrap();
}

type Handler = Box<dyn FnMut(&Message<Orders>) -> Result<(), HandlerError> + Send>;

/// A long-lived consumer of orders.
pub struct Reader<B> {
    bus: B,
    consumer: MessageConsumer<Orders, External<Handler>>,
    seen: Arc<Mutex<Vec<u64>>>,
}

impl<B: MessageSource + MessageConsumerState> Reader<B> {
    pub fn new(bus: B) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let handled = Arc::clone(&seen);
        let handler: Handler = Box::new(move |message| {
            handled.lock().unwrap().push(message.payload().order());
            Ok(())
        });
        let consumer = MessageConsumer::external("all", handler);
        Self {
            bus,
            consumer,
            seen,
        }
    }

    /// Handles pages until the consumer has caught up, and returns the numbers of the orders.
    pub fn read(&mut self) -> Vec<u64> {
        while self.consumer.handle_page(&mut self.bus).unwrap() > 0 {}
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}
