//! The statement that publishes a message through any driver. SQLite has one writer at a time, so a
//! plain INSERT skips nothing.

use chrono::SecondsFormat;

use crate::message::raw::RawMessage;
use crate::message::time;
use crate::sql::columns::columns;
use crate::sql::publish_statement::StatementValue;
use crate::sql::schema::TableSchema;

pub(in crate::sql) fn insert(
    schema: &TableSchema,
    message: &RawMessage,
) -> (String, Vec<StatementValue>) {
    let table = &schema.messages;
    let columns: Vec<_> = columns(table).map(quoted).collect();
    let sql = format!(
        "INSERT INTO {} ({}) VALUES ({})",
        quoted(&table.table),
        columns.join(", "),
        vec!["?"; columns.len()].join(", ")
    );
    let published_at = time::storable(message.published_at);
    let version = table.message_version.as_ref();
    let flow = table.correlation_id.as_ref();
    let mut values = vec![
        StatementValue::text(message.message_id),
        StatementValue::text(&*message.topic),
        StatementValue::text(&*message.message_type),
    ];
    values.extend(version.map(|_| StatementValue::Integer(i64::from(message.message_version))));
    values.extend(flow.map(|_| StatementValue::optional(message.correlation_id.clone())));
    let slot = i64::from(message.key_slot.get());
    values.extend(
        table
            .key_slot
            .as_ref()
            .map(|_| StatementValue::Integer(slot)),
    );
    values.extend([
        StatementValue::text(&*message.payload),
        StatementValue::text(&*message.headers),
        StatementValue::Text(published_at.to_rfc3339_opts(SecondsFormat::Micros, true)),
    ]);
    (sql, values)
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
