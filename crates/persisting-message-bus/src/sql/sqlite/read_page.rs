//! Reads pages in the way that takes the least time for their rows.

use std::cell::Cell;
use std::ops::ControlFlow;

use diesel::connection::{DefaultLoadingMode, LoadConnection};
use diesel::sqlite::Sqlite;

use crate::error::Error;
use crate::message::raw::StoredMessage;
use crate::position::Position;
use crate::sql::dialect::Statement;
use crate::sql::dialect::Value::{Number, Text};
use crate::sql::rows::first_row;
use crate::sql::schema::MessageTable;
use crate::sql::sqlite::page_columns::{self, deliver};
use crate::sql::statements::messages::{self, Select, failed_reading, is_empty, page};
use crate::store::page_request::{PageRequest, TypeFilter};
use crate::store::part::Part;

const BY_TOPIC: Select = Select {
    columns: page_columns::COLUMNS,
    from: "{messages}",
};

/// Reads the rows of the table in the order in which they are stored.
const BY_POSITION: Select = Select {
    from: "{messages} NOT INDEXED",
    ..BY_TOPIC
};

type Receive<'r> = dyn FnMut(&StoredMessage<'_>) -> ControlFlow<()> + 'r;

/// Reads a page. From the first row that is broken, or not in the form that this library writes,
/// the page is read as on all databases. That is slower, but its error names the problem.
pub(super) fn read_page<C>(
    connection: &mut C,
    table: &MessageTable,
    request: &PageRequest<'_>,
    receive: &mut Receive<'_>,
) -> Result<(), Error>
where
    C: LoadConnection<Backend = Sqlite> + 'static,
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
    if let Some(close) = dense_range(connection, table, request)? {
        end = read_as_written(connection, table, &close, BY_POSITION, counted)?;
        if end == End::OfRows && received.get() < close.limit {
            last.set(close.up_to);
        }
    }
    if end == End::OfRows {
        end = read_as_written(connection, table, &rest(), BY_TOPIC, counted)?;
    }
    match end {
        End::BeforeAnotherForm => {
            messages::read_page::<DefaultLoadingMode, _>(connection, table, &rest(), receive)
        }
        End::OfRows | End::AsAsked => Ok(()),
    }
}

/// The reason why the reader stops reading rows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// There are no more rows.
    OfRows,
    /// The receiver wants no more rows.
    AsAsked,
    /// The next row has another form than this library writes.
    BeforeAnotherForm,
}

fn read_as_written<C>(
    connection: &mut C,
    table: &MessageTable,
    request: &PageRequest<'_>,
    select: Select,
    receive: &mut Receive<'_>,
) -> Result<End, Error>
where
    C: LoadConnection<Backend = Sqlite> + 'static,
{
    if is_empty(request) {
        return Ok(End::OfRows);
    }
    let failed = |cause| failed_reading(request, cause);
    let page = page::<Sqlite>(table, request, select);
    for row in connection.load(page).map_err(failed)? {
        match deliver(&row.map_err(failed)?, request.topic, receive) {
            Some(ControlFlow::Continue(())) => {}
            Some(ControlFlow::Break(())) => return Ok(End::AsAsked),
            None => return Ok(End::BeforeAnotherForm),
        }
    }
    Ok(End::OfRows)
}

/// Returns the part of a page to read by position. There is such a part if the topic's next
/// messages are so close together that this costs less than an index lookup for each. The part has
/// an end, because later messages may be further apart.
fn dense_range<'a, C>(
    connection: &mut C,
    table: &MessageTable,
    request: &PageRequest<'a>,
) -> Result<Option<PageRequest<'a>>, Error>
where
    C: LoadConnection<Backend = Sqlite> + 'static,
{
    /// For fewer rows, the check costs more than it saves.
    const MIN_ROWS: usize = 200;
    const LOOKED_AT: i64 = 20;
    let positions = request.up_to.get().saturating_sub(request.after.get());
    let are_few = request.limit < MIN_ROWS || positions < LOOKED_AT;
    let is_whole = request.part == Part::Whole && request.message_types == TypeFilter::All;
    if are_few || !is_whole {
        return Ok(None);
    }
    // Checks whether four of five rows are of the topic.
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
