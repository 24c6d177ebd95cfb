//! Rows as this library writes them: each text is looked at once.

use std::ops::ControlFlow;
use std::str;

use diesel::row::{Field, Row};
use diesel::sqlite::{Sqlite, SqliteType, SqliteValue};
use uuid::Uuid;

use super::times;
use crate::{Position, StoredMessage};

/// Each column costs more than to join short ones: of id and time it is known how long they are. Diesel looks
/// at a text twice, and hides what is no UTF-8 in it; a blob is handed out as it is.
pub(super) const COLUMNS: &str = "{id}, \
    CAST({message_id} || '/' || {published_at} || '/' || {message_type} AS BLOB), {version}, \
    CAST({payload} AS BLOB), CAST({headers} AS BLOB)";

const LENGTH_OF_ID: usize = 36;

/// Hands out the message in a row; `None` where it has another form.
pub(super) fn hand_out<'a>(
    row: &impl Row<'a, Sqlite>,
    topic: &str,
    receive: &mut dyn FnMut(&StoredMessage<'_>) -> ControlFlow<()>,
) -> Option<ControlFlow<()>> {
    let position = integer(row, 0)?;
    let message_version = u32::try_from(integer(row, 2)?).ok()?;
    let (names, payload, headers) = (row.get(1)?, row.get(3)?, row.get(4)?);
    let (mut names, mut payload, mut headers) =
        (names.value()?, payload.value()?, headers.value()?);
    let (message_id, names) = names.read_blob().split_at_checked(LENGTH_OF_ID)?;
    let names = names.strip_prefix(b"/")?;
    let (published_at, message_type) = names.split_at_checked(times::LENGTH)?;
    let message_type = message_type.strip_prefix(b"/")?;
    let message_id = Uuid::try_parse_ascii(message_id).ok()?;
    let published_at = times::as_written(published_at)?;
    Some(receive(&StoredMessage {
        position: Position::new(position),
        message_id,
        topic,
        message_type: str::from_utf8(message_type).ok()?,
        message_version: Some(message_version).filter(|version| *version > 0)?,
        payload: text(&mut payload)?,
        headers: text(&mut headers)?,
        published_at,
    }))
}

fn integer<'a>(row: &impl Row<'a, Sqlite>, index: usize) -> Option<i64> {
    let field = row.get(index)?;
    let mut value = field.value()?;
    let is_integer = value.value_type() == Some(SqliteType::Long);
    is_integer.then(|| value.read_long())
}

fn text<'v>(value: &'v mut SqliteValue<'_, '_, '_>) -> Option<&'v str> {
    str::from_utf8(value.read_blob()).ok()
}
