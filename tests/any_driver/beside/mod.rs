//! What the cases need of each database.

mod mariadb;
mod postgres;

use chrono::{DateTime, Utc};
use diesel::connection::SimpleConnection;
use persisting_message_bus::MessageDispatcher;
use persisting_message_bus::backend::{MessageRepository, MessageSource, RawMessage};
use persisting_message_bus::sql::{Database, TableSchema};
use persisting_message_bus_tests::databases::Server;
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};

use crate::clients::Client;

/// A server on which other clients publish.
pub trait Beside: Server<Plain: SimpleConnection> {
    const KIND: Database;
    /// Creates a message table with strange names, and what it needs.
    const STRANGE_TABLES: &'static str;
    /// The columns of topic, type and id of that table, and the table.
    const STRANGE_NAMES: [&'static str; 2];
    /// Creates a trigger that makes the message of order 1 wait, after it has its position, for the row
    /// of the table `gate`.
    const GATE: &'static [&'static str];
    /// Holds what a publisher of orders takes to announce itself, while the last position is 1.
    const HOLD_ANNOUNCEMENTS: &'static str;
    /// Lets the server cancel a statement of the session after a second.
    const CANCELS: &'static str;
    /// Lets statements take any time again.
    const CANCELS_NO_MORE: &'static str;
    /// Inserts order 2 by hand.
    const INSERT: &'static str;
    /// Counts the publishers that wait, as a text.
    const WAITING: &'static str;
    /// Wrong arguments that only this database has, each with its problem.
    const WRONG: &'static [(&'static str, &'static str, &'static str)];
    /// The migration that creates the tables.
    const MIGRATION: &'static str;
    /// The migration that drops the tables.
    const REVERSION: &'static str;

    /// Returns a client of each kind.
    fn clients(&self) -> Vec<Box<dyn Client>>;
    /// Returns a client of sqlx.
    fn sqlx(&self) -> Box<dyn Client>;
    /// Returns the statements that begin a transaction.
    fn begin(level: &str) -> Vec<String>;
    /// Returns the statement that publishes by hand, with ten literals as its arguments.
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
