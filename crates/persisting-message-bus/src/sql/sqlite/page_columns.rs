//! Reads rows in the form in which this library writes them, so that each text is examined only
//! once.

use std::ops::ControlFlow;
use std::str;

use diesel::row::{Field, Row};
use diesel::sqlite::{Sqlite, SqliteType, SqliteValue};
use uuid::Uuid;

use crate::message::raw::StoredMessage;
use crate::position::Position;
use crate::sql::sqlite::times;

/// Reading a column costs more than concatenating short ones. So id and time, whose lengths are
/// fixed, share a column with the type. Diesel examines a text twice, and hides bytes that are not
/// UTF-8; it returns a blob as it is.
pub(super) const COLUMNS: &str = "{id}, \
    CAST({message_id} || '/' || {published_at} || '/' || {message_type} AS BLOB), {version}, \
    CAST({payload} AS BLOB), CAST({headers} AS BLOB)";

const LENGTH_OF_ID: usize = 36;

/// Passes the message in a row to `receive`; returns `None` if the row has another form.
pub(super) fn deliver<'a>(
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
