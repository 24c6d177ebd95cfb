//! Many messages in one statement, where a database takes them as rows of values.

use crate::RawMessage;
use crate::diesel::MessageTable;
#[cfg(feature = "mysql")]
use crate::diesel::statement::Names;
use crate::diesel::statement::Value::{Number, OptionalText, Text};
use crate::diesel::statement::{Statement, Value};

/// The most rows of a statement. More make it no faster, and SQLite takes 32,766 values.
const MOST_ROWS: usize = 512;

/// Where a statement ends, so that it stays below what servers take in one packet: 16 MiB.
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// A message with the texts of those columns that are none.
pub(super) struct Row<'a> {
    pub(super) message: &'a RawMessage,
    pub(super) message_id: String,
    pub(super) published_at: String,
}

/// The messages in parts of 512, 256, ... 1 rows: so few texts that all of them are prepared once
/// per connection.
pub(super) fn in_parts<'m, 'a>(
    messages: &'m [&'a RawMessage],
) -> impl Iterator<Item = &'m [&'a RawMessage]> {
    let mut rest = messages;
    std::iter::from_fn(move || {
        let (part, later) = rest.split_at(rows_of_next(rest));
        rest = later;
        (!part.is_empty()).then_some(part)
    })
}

/// The largest power of two that the messages fill.
fn rows_of_next(messages: &[&RawMessage]) -> usize {
    let mut bytes = 0;
    let fitting = messages.iter().take(MOST_ROWS).take_while(|message| {
        let first = bytes == 0;
        bytes += bytes_of(message);
        first || bytes <= MOST_BYTES
    });
    match fitting.count().checked_ilog2() {
        Some(exponent) => 1 << exponent,
        None => 0,
    }
}

/// Inserts the rows; `conflict` says what becomes of those whose id is taken.
pub(super) fn insert<'a>(
    table: &'a MessageTable,
    rows: &'a [Row<'a>],
    conflict: &str,
) -> Statement<'a> {
    let row = row_of(table, "?");
    let rows_of_values = vec![row.as_str(); rows.len()].join(", ");
    let sql = format!("{} {rows_of_values} {conflict}", into(table));
    let values = rows.iter().flat_map(|row| values_of(table, row, 1));
    Statement::new(sql, table, values)
}

/// Inserts rows, the first one with a topic that is computed from its name, as often as the SQL asks for it.
#[cfg(feature = "mysql")]
pub(super) fn insert_computing<'a>(
    table: &MessageTable,
    names: &'a dyn Names,
    rows: &'a [Row<'a>],
    topic: &str,
) -> Statement<'a> {
    let topics = || std::iter::once(topic).chain(std::iter::repeat("?"));
    let rows_of_values = topics().take(rows.len()).map(|topic| row_of(table, topic));
    let rows_of_values: Vec<_> = rows_of_values.collect();
    let sql = format!("{} {}", into(table), rows_of_values.join(", "));
    let values = rows.iter().zip(topics());
    let values = values.flat_map(|(row, topic)| values_of(table, row, topic.matches('?').count()));
    Statement::new(sql, names, values)
}

/// Whether there is a statement for so many rows at once, among those that are prepared once: more than a few
/// of them go in parts.
#[cfg(feature = "mysql")]
pub(super) fn fit_into_one(messages: &[RawMessage]) -> bool {
    const FEW: usize = 32;
    let bytes = messages.iter().map(bytes_of).sum::<usize>();
    let rows = messages.len();
    bytes <= MOST_BYTES && (rows <= FEW || rows.is_power_of_two() && rows <= MOST_ROWS)
}

fn bytes_of(message: &RawMessage) -> usize {
    message.payload.len() + message.headers.len()
}

fn into(table: &MessageTable) -> String {
    let version = table.message_version.as_ref();
    let version = version.map_or("", |_| "{message_version}, ");
    let flow = table.correlation_id.as_ref();
    let flow = flow.map_or("", |_| "{correlation_id}, ");
    format!(
        "INSERT INTO {{table}} ({{message_id}}, {{topic}}, {{message_type}}, {version}\
         {flow}{{payload}}, {{headers}}, {{published_at}}) VALUES"
    )
}

fn row_of(table: &MessageTable, topic: &str) -> String {
    let version = table.message_version.as_ref().map_or("", |_| "?, ");
    let flow = table.correlation_id.as_ref().map_or("", |_| "?, ");
    format!("(?, {topic}, ?, {version}{flow}?, ?, ?)")
}

fn values_of<'a>(
    table: &MessageTable,
    row: &'a Row<'a>,
    topics: usize,
) -> impl Iterator<Item = Value<'a>> + use<'a> {
    let message = row.message;
    let version = Number(i64::from(message.message_version));
    let version = table.message_version.as_ref().map(|_| version);
    let flow = OptionalText(message.correlation_id.as_deref());
    let flow = table.correlation_id.as_ref().map(|_| flow);
    let texts = [&message.payload, &message.headers, &row.published_at];
    std::iter::once(Text(&row.message_id))
        .chain(std::iter::repeat_n(Text(&message.topic), topics))
        .chain([Text(&message.message_type)])
        .chain(version)
        .chain(flow)
        .chain(texts.map(|text| Text(text)))
}
