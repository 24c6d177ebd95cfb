//! Pages of messages as this library writes them: each text is looked at once.

use std::ops::ControlFlow;
use std::str;

use diesel::connection::{DefaultLoadingMode, LoadConnection};
use diesel::row::{Field, Row};
use diesel::sqlite::{Sqlite, SqliteType, SqliteValue};
use uuid::Uuid;

use super::times;
use crate::diesel::MessageTable;
use crate::diesel::messages::{self, failed_reading, is_empty, page};
use crate::{Error, PageRequest, Position, StoredMessage};

/// Diesel looks at a text twice, and hides what is no UTF-8 in it; a blob is handed out as it is.
const COLUMNS: &str = "{id}, CAST({message_id} AS BLOB), CAST({message_type} AS BLOB), {version}, \
    CAST({payload} AS BLOB), CAST({headers} AS BLOB), CAST({published_at} AS BLOB)";

/// From the first row on that has another form, or is broken, the page is read as on all databases:
/// slower, and with an error that tells what is wrong.
pub(super) fn read_page<C>(
    connection: &mut C,
    table: &MessageTable,
    request: &PageRequest<'_>,
    receive: &mut dyn FnMut(&StoredMessage<'_>) -> ControlFlow<()>,
) -> Result<(), Error>
where
    C: LoadConnection<Backend = Sqlite>,
{
    let mut rest = *request;
    let ended = read_as_written(connection, table, request, &mut |stored| {
        rest.after = stored.position;
        rest.limit = rest.limit.saturating_sub(1);
        receive(stored)
    });
    match ended? {
        End::OfPage => Ok(()),
        End::InFrontOfAnotherForm => {
            messages::read_page::<DefaultLoadingMode, _>(connection, table, &rest, receive)
        }
    }
}

enum End {
    OfPage,
    InFrontOfAnotherForm,
}

fn read_as_written<C>(
    connection: &mut C,
    table: &MessageTable,
    request: &PageRequest<'_>,
    receive: &mut dyn FnMut(&StoredMessage<'_>) -> ControlFlow<()>,
) -> Result<End, Error>
where
    C: LoadConnection<Backend = Sqlite>,
{
    if is_empty(request) {
        return Ok(End::OfPage);
    }
    let failed = |cause| failed_reading(request, cause);
    let page = page::<Sqlite>(table, request, COLUMNS);
    for row in connection.load(page).map_err(failed)? {
        match hand_out(&row.map_err(failed)?, request.topic, receive) {
            Some(ControlFlow::Continue(())) => {}
            Some(ControlFlow::Break(())) => return Ok(End::OfPage),
            None => return Ok(End::InFrontOfAnotherForm),
        }
    }
    Ok(End::OfPage)
}

/// Hands out the message in a row; `None` where it has another form.
fn hand_out<'a>(
    row: &impl Row<'a, Sqlite>,
    topic: &str,
    receive: &mut dyn FnMut(&StoredMessage<'_>) -> ControlFlow<()>,
) -> Option<ControlFlow<()>> {
    let position = integer(row, 0)?;
    let message_id = Uuid::try_parse_ascii(row.get(1)?.value()?.read_blob()).ok()?;
    let message_version = u32::try_from(integer(row, 3)?).ok()?;
    let published_at = times::as_written(row.get(6)?.value()?.read_blob())?;
    let (message_type, payload, headers) = (row.get(2)?, row.get(4)?, row.get(5)?);
    let (mut message_type, mut payload, mut headers) =
        (message_type.value()?, payload.value()?, headers.value()?);
    Some(receive(&StoredMessage {
        position: Position::new(position),
        message_id,
        topic,
        message_type: text(&mut message_type)?,
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
