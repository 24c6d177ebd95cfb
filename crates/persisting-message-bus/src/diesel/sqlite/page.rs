//! Pages, in the way that reads their rows in the least time.

use std::cell::Cell;
use std::ops::ControlFlow;

use diesel::connection::{DefaultLoadingMode, LoadConnection};
use diesel::sqlite::Sqlite;

use super::written::{self, hand_out};
use crate::diesel::MessageTable;
use crate::diesel::messages::{self, Select, failed_reading, is_empty, page};
use crate::diesel::rows::first_row;
use crate::diesel::statement::Statement;
use crate::diesel::statement::Value::{Number, Text};
use crate::{Error, MessageTypes, PageRequest, Position, StoredMessage};

const BY_TOPIC: Select = Select {
    columns: written::COLUMNS,
    from: "{messages}",
};

/// The rows of the table are read as they lie.
const BY_POSITION: Select = Select {
    from: "{messages} NOT INDEXED",
    ..BY_TOPIC
};

type Receive<'r> = dyn FnMut(&StoredMessage<'_>) -> ControlFlow<()> + 'r;

/// From the first row on that has another form than this library writes, or is broken, the page is read as on all
/// databases: slower, and with an error that tells what is wrong.
pub(super) fn read_page<C>(
    connection: &mut C,
    table: &MessageTable,
    request: &PageRequest<'_>,
    receive: &mut Receive<'_>,
) -> Result<(), Error>
where
    C: LoadConnection<Backend = Sqlite>,
{
    let (last, received) = (Cell::new(request.after), Cell::new(0));
    let rest = || PageRequest {
        after: last.get(),
        limit: request.limit.saturating_sub(received.get()),
        ..*request
    };
    let counted = &mut |stored: &StoredMessage<'_>| {
        last.set(stored.position);
        received.set(received.get() + 1);
        receive(stored)
    };
    let mut end = End::OfRows;
    if let Some(close) = close_together(connection, table, request)? {
        end = read_as_written(connection, table, &close, BY_POSITION, counted)?;
        if end == End::OfRows && received.get() < close.limit {
            last.set(close.up_to);
        }
    }
    if end == End::OfRows {
        end = read_as_written(connection, table, &rest(), BY_TOPIC, counted)?;
    }
    match end {
        End::InFrontOfAnotherForm => {
            messages::read_page::<DefaultLoadingMode, _>(connection, table, &rest(), receive)
        }
        End::OfRows | End::AsAsked => Ok(()),
    }
}

/// Where rows are not read any more.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// There are no more.
    OfRows,
    /// Whoever receives them wants no more.
    AsAsked,
    InFrontOfAnotherForm,
}

fn read_as_written<C>(
    connection: &mut C,
    table: &MessageTable,
    request: &PageRequest<'_>,
    select: Select,
    receive: &mut Receive<'_>,
) -> Result<End, Error>
where
    C: LoadConnection<Backend = Sqlite>,
{
    if is_empty(request) {
        return Ok(End::OfRows);
    }
    let failed = |cause| failed_reading(request, cause);
    let page = page::<Sqlite>(table, request, select);
    for row in connection.load(page).map_err(failed)? {
        match hand_out(&row.map_err(failed)?, request.topic, receive) {
            Some(ControlFlow::Continue(())) => {}
            Some(ControlFlow::Break(())) => return Ok(End::AsAsked),
            None => return Ok(End::InFrontOfAnotherForm),
        }
    }
    Ok(End::OfRows)
}

/// The part of a page that is read by position, if the topic's next messages lie so close together that this
/// costs less than to look for each of them. What follows may be less so: the part has an end.
fn close_together<'a, C>(
    connection: &mut C,
    table: &MessageTable,
    request: &PageRequest<'a>,
) -> Result<Option<PageRequest<'a>>, Error>
where
    C: LoadConnection<Backend = Sqlite>,
{
    /// It is not worth while to look, for less.
    const FEWEST: usize = 200;
    const LOOKED_AT: i64 = 20;
    let positions = request.up_to.get().saturating_sub(request.after.get());
    let are_few = request.limit < FEWEST || positions < LOOKED_AT;
    if are_few || request.message_types != MessageTypes::All {
        return Ok(None);
    }
    // Whether four of five rows are of the topic.
    let sql = "SELECT 1 FROM {messages} WHERE {of_topic} AND {id} > ? AND {id} <= ?
        ORDER BY {id} LIMIT 1 OFFSET 15";
    let part = |length: i64| {
        let end = Position::new(request.after.get().saturating_add(length));
        end.min(request.up_to)
    };
    let between = [request.after, part(LOOKED_AT)].map(|position| Number(position.get()));
    let values = [Text(request.topic)].into_iter().chain(between);
    let found = first_row(connection, Statement::new(sql, table, values), |[]| Ok(()));
    let found = found.map_err(|cause| failed_reading(request, cause))?;
    let length = request.limit.saturating_add(request.limit / 4);
    let up_to = part(i64::try_from(length).unwrap_or(i64::MAX));
    Ok(found.map(|()| PageRequest { up_to, ..*request }))
}
