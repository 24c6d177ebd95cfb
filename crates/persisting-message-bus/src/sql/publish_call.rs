//! The call by which any program publishes: the name of the function or procedure, and the
//! arguments of a message.

use std::borrow::Cow;
use std::slice;

use crate::error::Error;
use crate::message::headers::Headers;
use crate::message::plain_json::plain;
use crate::message::raw::RawMessage;
use crate::message::stored_headers::{causation_id, key};
use crate::sql::hash::hash_of;
use crate::sql::publish_errors::persisting;
use crate::sql::publish_statement::StatementValue;
use crate::sql::schema::TableSchema;

const NAME: &str = "message_bus_publish";

/// The maximum length of a name on PostgreSQL. MySQL and MariaDB allow one more character.
const MAX_LENGTH: usize = 63;

/// Returns the name of the function or procedure that publishes into the message table, as
/// `publish_statements` of [`postgres`](super::postgres) and [`mysql`](super::mysql) create it.
///
/// For the table `public_messages`, it is `message_bus_publish`. For any other table, it ends with
/// the name of that table, so that a call cannot reach another table. If that is too long, or if the
/// table's name has other characters than `a` to `z`, digits and `_`, it ends with a hash of the name,
/// because MySQL and MariaDB ignore the case of procedures.
///
/// ```
/// use persisting_message_bus::sql::{TableSchema, publish_name};
///
/// let mut schema = TableSchema::default();
/// assert_eq!(publish_name(&schema), "message_bus_publish");
/// schema.messages.table = "domain_events".into();
/// assert_eq!(publish_name(&schema), "message_bus_publish_domain_events");
/// ```
#[must_use]
pub fn publish_name(schema: &TableSchema) -> String {
    let table = &*schema.messages.table;
    if table == TableSchema::DEFAULT.messages.table {
        return NAME.to_owned();
    }
    let name = format!("{NAME}_{table}");
    let is_plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
    if name.len() <= MAX_LENGTH && table.bytes().all(is_plain) {
        return name;
    }
    format!("{NAME}_{:08x}", hash_of(table))
}

/// Returns the arguments of the call, with the time in a form that the database reads.
pub(super) fn arguments(
    message: &RawMessage,
    recorded_at: String,
) -> Result<Vec<StatementValue>, Error> {
    let custom = Headers::custom_from_json(&message.headers)
        .and_then(|headers| serde_json::to_string(&headers))
        .map_err(|cause| Error::permanent(persisting(slice::from_ref(message)), cause))?;
    let causation_id = causation_id(&message.headers).map(|id| id.to_string());
    Ok(vec![
        StatementValue::text(&*message.topic),
        StatementValue::text(&*message.message_type),
        StatementValue::Integer(i64::from(message.message_version)),
        StatementValue::text(&*message.payload),
        StatementValue::Text(plain(custom)),
        StatementValue::Text(message.message_id.to_string()),
        StatementValue::Text(recorded_at),
        StatementValue::optional(message.correlation_id.clone()),
        StatementValue::optional(causation_id),
        StatementValue::optional(key(&message.headers).map(Cow::into_owned)),
    ])
}
