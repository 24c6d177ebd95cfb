//! The statement that passes over messages, to find out how far a page of some types can go.

use diesel::connection::LoadConnection;
use diesel::result::{Error as DieselError, QueryResult};

use crate::error::Error;
use crate::position::Position;
use crate::sql::dialect::Value::{Number, Text};
use crate::sql::dialect::{Dialect, Statement, Value};
use crate::sql::prepared::loaded;
use crate::sql::rows::{BrokenColumn, Column, ReadValue, with_columns};
use crate::sql::schema::MessageTable;
use crate::sql::statements::messages::{failed_reading, of_part, of_topic, types_of};
use crate::store::page_request::PageRequest;
use crate::store::place::MessageAt;

/// A part of a topic that a page can read at once.
pub(in crate::sql) struct Passed {
    /// Its end.
    pub(in crate::sql) end: MessageAt,
    /// The number of its messages that are selected, at most the limit of the page.
    pub(in crate::sql) selected: usize,
}

/// Passes over the messages after `request.after`: at most `stretch` messages of all types, and at
/// most as many selected ones as the page can hold.
pub(in crate::sql) fn pass<C>(
    connection: &mut C,
    table: &MessageTable,
    request: &PageRequest<'_>,
    stretch: usize,
) -> Result<Passed, Error>
where
    C: LoadConnection + 'static,
    C::Backend: Dialect + ReadValue,
{
    let passed = pass_over(connection, table, request, stretch);
    loaded(connection, passed).map_err(|cause| failed_reading(request, cause))
}

fn pass_over<C>(
    connection: &mut C,
    table: &MessageTable,
    request: &PageRequest<'_>,
    stretch: usize,
) -> QueryResult<Passed>
where
    C: LoadConnection + 'static,
    C::Backend: Dialect + ReadValue,
{
    let (condition, types) = types_of(request.message_types);
    // A row without a valid id can be passed over, but it is no anchor.
    let (in_part, slots) = of_part(request.part);
    let sql = format!(
        "SELECT {{id}}, {{message_id}}, CASE WHEN {condition}{in_part} THEN 1 ELSE 0 END FROM {{messages}} \
         WHERE {{of_topic}} AND {{id}} > ? AND {{id}} <= ? {{is_readable}} ORDER BY {{id}} LIMIT {{limit}}"
    );
    let between = [request.after, request.up_to].map(|position| Number(position.get()));
    let values = types.iter().map(|name| Text(name));
    let values = values
        .chain(slots)
        .chain(of_topic::<C::Backend>(request.topic))
        .chain(between);
    let values = values.chain([Value::limit(stretch)]);
    let (mut rows, mut selected, mut last) = (0, 0, None);
    for row in connection.load(Statement::new(sql, table, values))? {
        let read = with_columns(&row?, passed_row);
        let (message, is_selected) =
            read.map_err(|broken| DieselError::DeserializationError(Box::new(broken)))?;
        rows += 1;
        last = Some(message);
        selected += usize::from(is_selected);
        if selected == request.limit {
            break;
        }
    }
    let is_whole = rows < stretch && selected < request.limit;
    let at_the_end = MessageAt {
        position: request.up_to,
        message_id: None,
    };
    let end = last.filter(|last| !is_whole || last.position == request.up_to);
    Ok(Passed {
        end: end.unwrap_or(at_the_end),
        selected,
    })
}

fn passed_row<DB: ReadValue>(
    [position, id, is_selected]: &mut [Column<'_, DB>; 3],
) -> Result<(MessageAt, bool), BrokenColumn> {
    let message = MessageAt {
        position: position.integer("id").map(Position::new)?,
        message_id: id.uuid("message_id").ok(),
    };
    Ok((message, is_selected.integer("message_type")? != 0))
}
