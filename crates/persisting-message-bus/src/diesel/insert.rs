//! Many messages in one statement, where a database takes them as rows of values.

use crate::RawMessage;
use crate::diesel::MessageTable;
use crate::diesel::statement::Statement;
use crate::diesel::statement::Value::{Number, OptionalText, Text};

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
        bytes += message.payload.len() + message.headers.len();
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
    let (version, value) = match table.message_version {
        Some(_) => ("{message_version}, ", "?, "),
        None => ("", ""),
    };
    let (flow, flow_value) = match table.correlation_id {
        Some(_) => ("{correlation_id}, ", "?, "),
        None => ("", ""),
    };
    let row = format!("(?, ?, ?, {value}{flow_value}?, ?, ?)");
    let values = vec![row.as_str(); rows.len()].join(", ");
    let sql = format!(
        "INSERT INTO {{table}} ({{message_id}}, {{topic}}, {{message_type}}, {version}\
         {flow}{{payload}}, {{headers}}, {{published_at}}) VALUES {values} {conflict}"
    );
    let values = rows.iter().flat_map(|row| {
        let version = Number(i64::from(row.message.message_version));
        let version = table.message_version.as_ref().map(|_| version);
        let names = [
            &row.message_id,
            &*row.message.topic,
            &*row.message.message_type,
        ];
        let texts = [
            &row.message.payload,
            &row.message.headers,
            &row.published_at,
        ];
        let flow = OptionalText(row.message.correlation_id.as_deref());
        let flow = table.correlation_id.as_ref().map(|_| flow);
        let names = names.map(Text).into_iter().chain(version).chain(flow);
        names.chain(texts.map(|text| Text(text)))
    });
    Statement::new(sql, table, values)
}
