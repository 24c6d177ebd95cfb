//! Many messages in one statement, where a database takes them as rows of values.

use crate::RawMessage;
use crate::diesel::MessageTable;
use crate::diesel::statement::Value::{Number, OptionalText, Text};
use crate::diesel::statement::{Statement, Value};

/// The most rows of a statement. More make it no faster, and SQLite takes 32,766 values.
const MOST_ROWS: usize = 512;

/// Where a statement ends, so that its values do not take much memory at once.
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
    let row = row_of(table);
    let rows_of_values = vec![row.as_str(); rows.len()].join(", ");
    let sql = format!("{} {rows_of_values} {conflict}", into(table));
    let values = rows.iter().flat_map(|row| values_of(table, row));
    Statement::new(sql, table, values)
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

fn row_of(table: &MessageTable) -> String {
    let version = table.message_version.as_ref().map_or("", |_| "?, ");
    let flow = table.correlation_id.as_ref().map_or("", |_| "?, ");
    format!("(?, ?, ?, {version}{flow}?, ?, ?)")
}

fn values_of<'a>(
    table: &MessageTable,
    row: &'a Row<'a>,
) -> impl Iterator<Item = Value<'a>> + use<'a> {
    let message = row.message;
    let version = Number(i64::from(message.message_version));
    let version = table.message_version.as_ref().map(|_| version);
    let flow = OptionalText(message.correlation_id.as_deref());
    let flow = table.correlation_id.as_ref().map(|_| flow);
    let texts = [&message.payload, &message.headers, &row.published_at];
    [&row.message_id, &*message.topic, &*message.message_type]
        .map(Text)
        .into_iter()
        .chain(version)
        .chain(flow)
        .chain(texts.map(|text| Text(text)))
}
