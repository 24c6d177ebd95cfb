//! The statements that read messages, in the form that every database understands.

use std::ops::ControlFlow;

use diesel::connection::LoadConnection;
use diesel::result::{Error as DieselError, QueryResult};
use diesel::row::Row;
use uuid::Uuid;

use crate::error::Error;
use crate::message::raw::StoredMessage;
use crate::message::slot::Slot;
use crate::position::Position;
use crate::sql::dialect::Value::{Number, Text};
use crate::sql::dialect::{Dialect, Statement, Value};
use crate::sql::error::failed_while;
use crate::sql::executor::on_sync::OnSync;
use crate::sql::executor::{Asked, now};
use crate::sql::prepared::loaded;
use crate::sql::rows::{BrokenColumn, Column, ReadValue, first_row, with_columns};
use crate::sql::schema::MessageTable;
use crate::sql::statements::counting;
use crate::store::ahead::Ahead;
use crate::store::page_request::{PageRequest, TypeFilter};
use crate::store::part::{Part, SLOTS, SPREAD, SlotRange};
use crate::store::place::MessageAt;
use crate::store::source::Backlog;

/// Returns the topic's last message at or below the high-water mark.
pub(in crate::sql) async fn head<A: Asked>(
    asked: &mut A,
    table: &MessageTable,
    topic: &str,
    high_water_mark: Position,
) -> Result<MessageAt, Error> {
    let sql = "SELECT {id}, {message_id} FROM {messages} WHERE {of_topic} AND {id} <= ?
        ORDER BY {id} DESC LIMIT 1";
    let values = of_topic::<A::Backend>(topic).chain([Number(high_water_mark.get())]);
    let head = asked.first_row(Statement::new(sql, table, values), message_at_row);
    head.await
        .map(Option::unwrap_or_default)
        .map_err(|cause| failed_while(format!("reading the head of topic \"{topic}\""), cause))
}

/// Returns the head of a page's topic, and nothing that was read ahead.
pub(in crate::sql) fn head_only<C>(
    connection: &mut C,
    table: &MessageTable,
    page: &PageRequest<'_>,
) -> Result<(MessageAt, Option<Ahead>), Error>
where
    C: LoadConnection + 'static,
    C::Backend: Dialect + ReadValue,
{
    let asked = &mut OnSync(connection);
    Ok((now(head(asked, table, page.topic, page.up_to))?, None))
}

/// Returns the ids of the topic's messages at two positions.
pub(in crate::sql) fn ids_at<C>(
    connection: &mut C,
    table: &MessageTable,
    topic: &str,
    positions: [Position; 2],
) -> Result<[Option<Uuid>; 2], Error>
where
    C: LoadConnection + 'static,
    C::Backend: Dialect + ReadValue,
{
    let sql = "SELECT {id}, {message_id} FROM {messages} WHERE {of_topic} AND {id} IN (?, ?)
        {is_readable}";
    let numbers = positions.map(|position| Number(position.get()));
    let values = of_topic::<C::Backend>(topic).chain(numbers);
    let read = |connection: &mut C| {
        let mut ids = [None; 2];
        for row in connection.load(Statement::new(sql, table, values))? {
            let found = with_columns(&row?, message_at_row)
                .map_err(|broken| DieselError::DeserializationError(Box::new(broken)))?;
            for (position, id) in positions.iter().zip(&mut ids) {
                if *position == found.position {
                    *id = found.message_id;
                }
            }
        }
        Ok(ids)
    };
    let ids = read(connection);
    loaded(connection, ids).map_err(|cause| {
        let [one, other] = positions;
        let doing = format!("reading the messages {one} and {other} of topic \"{topic}\"");
        failed_while(doing, cause)
    })
}

/// Reads a position and a message id. A row without a valid id is not a message that can be
/// recognised.
fn message_at_row<DB: ReadValue>(
    [position, id]: &mut [Column<'_, DB>; 2],
) -> Result<MessageAt, BrokenColumn> {
    Ok(MessageAt {
        position: position.integer("id").map(Position::new)?,
        message_id: id.uuid("message_id").ok(),
    })
}

/// Returns the slot of the key of the topic's message at a position.
pub(in crate::sql) fn slot_at<C>(
    connection: &mut C,
    table: &MessageTable,
    topic: &str,
    position: Position,
) -> QueryResult<Option<Slot>>
where
    C: LoadConnection + 'static,
    C::Backend: Dialect + ReadValue,
{
    if table.key_slot.is_none() {
        return Ok(None);
    }
    let sql = "SELECT {key_slot} FROM {messages} WHERE {of_topic} AND {id} = ?";
    let values = of_topic::<C::Backend>(topic).chain([Number(position.get())]);
    first_row(connection, Statement::new(sql, table, values), |[slot]| {
        read_slot(slot)
    })
}

/// Returns the positions of the topic's messages after a position, with the slots of their keys.
pub(in crate::sql) fn slots_after<C>(
    connection: &mut C,
    table: &MessageTable,
    topic: &str,
    [after, up_to]: [Position; 2],
    limit: usize,
) -> Result<Vec<(Position, Slot)>, Error>
where
    C: LoadConnection + 'static,
    C::Backend: Dialect + ReadValue,
{
    let slot = match table.key_slot {
        Some(_) => "{key_slot}",
        None => "-1",
    };
    let sql = format!(
        "SELECT {{id}}, {slot} FROM {{messages}} WHERE {{of_topic}} AND {{id}} > ? AND {{id}} <= ?
        ORDER BY {{id}} LIMIT {{limit}}"
    );
    let between = [after, up_to].map(|position| Number(position.get()));
    let values = of_topic::<C::Backend>(topic).chain(between);
    let values = values.chain([Value::limit(limit)]);
    let read = |connection: &mut C| {
        let rows = connection.load(Statement::new(sql, table, values))?;
        let rows = rows.map(|row| {
            with_columns(&row?, |[id, slot]: &mut [Column<'_, C::Backend>; 2]| {
                Ok((id.integer("id").map(Position::new)?, read_slot(slot)?))
            })
            .map_err(|broken: BrokenColumn| DieselError::DeserializationError(Box::new(broken)))
        });
        rows.collect::<QueryResult<Vec<_>>>()
    };
    let slots = read(connection);
    loaded(connection, slots).map_err(|cause| {
        let doing = format!("reading the slots of topic \"{topic}\" after position {after}");
        failed_while(doing, cause)
    })
}

fn read_slot<DB: ReadValue>(slot: &mut Column<'_, DB>) -> Result<Slot, BrokenColumn> {
    let found = slot.integer("key_slot")?;
    let number =
        i16::try_from(found).map_err(|_| BrokenColumn::new("key_slot", "a slot", found))?;
    Ok(Slot::new(number))
}

pub(in crate::sql) fn position_of<C>(
    connection: &mut C,
    table: &MessageTable,
    topic: &str,
    message_id: Uuid,
) -> Result<Option<Position>, Error>
where
    C: LoadConnection + 'static,
    C::Backend: Dialect + ReadValue,
{
    let id = message_id.to_string();
    let sql = "SELECT {id} FROM {table} WHERE {message_id} = {uuid} AND {of_topic}";
    let values = std::iter::once(Text(&id)).chain(of_topic::<C::Backend>(topic));
    let statement = Statement::new(sql, table, values);
    let found = first_row(connection, statement, |[id]| {
        id.integer("id").map(Position::new)
    });
    found.map_err(|cause| {
        let doing = format!("looking for the message id {message_id} on topic \"{topic}\"");
        failed_while(doing, cause)
    })
}

pub(in crate::sql) fn backlog<C>(
    connection: &mut C,
    table: &MessageTable,
    topic: &str,
    after: Position,
) -> Result<Backlog, Error>
where
    C: LoadConnection + 'static,
    C::Backend: Dialect + ReadValue,
{
    let failed = |cause| failed_while(format!("counting messages of topic \"{topic}\""), cause);
    let values: Vec<_> = of_topic::<C::Backend>(topic).collect();
    let sql = "SELECT count(*), max(batch.position) FROM (
        SELECT {id} AS position FROM {messages} WHERE {of_topic} AND {id} > ?
        ORDER BY {id} LIMIT {limit}) AS batch";
    let count = counting::count(connection, table, sql, &values, after);
    let values = values.into_iter().chain([Number(after.get())]);
    let sql = "SELECT {published_at} FROM {messages} WHERE {of_topic} AND {id} > ?
        ORDER BY {id} LIMIT 1";
    let oldest = first_row(connection, Statement::new(sql, table, values), |[time]| {
        time.time("published_at")
    });
    Ok(Backlog {
        messages: count.map_err(failed)?,
        oldest: oldest.map_err(failed)?,
    })
}

/// The columns and the table of a statement that reads a page.
#[derive(Clone, Copy)]
pub(in crate::sql) struct Select {
    /// The columns. `{version}` becomes 1 if the table has no column for the version.
    pub(in crate::sql) columns: &'static str,
    /// The table, and the way to read it.
    pub(in crate::sql) from: &'static str,
}

pub(in crate::sql) const MESSAGES: Select = Select {
    columns: "{id}, {message_id}, {message_type}, {version}, {payload}, {headers}, {published_at}",
    from: "{messages}",
};

/// Reads a page. `L` is the mode in which Diesel loads the rows.
pub(in crate::sql) fn read_page<L, C>(
    connection: &mut C,
    table: &MessageTable,
    request: &PageRequest<'_>,
    receive: &mut dyn FnMut(&StoredMessage<'_>) -> ControlFlow<()>,
) -> Result<(), Error>
where
    C: LoadConnection<L> + 'static,
    C::Backend: Dialect + ReadValue,
{
    if is_empty(request) {
        return Ok(());
    }
    let failed = |cause| failed_reading(request, cause);
    let page = page::<C::Backend>(table, request, MESSAGES);
    for row in connection.load(page).map_err(failed)? {
        if hand_over(request.topic, &row.map_err(failed)?, receive)?.is_break() {
            break;
        }
    }
    Ok(())
}

/// Calls `receive` with the message in a row.
pub(in crate::sql) fn hand_over<'a, DB: ReadValue>(
    topic: &str,
    row: &impl Row<'a, DB>,
    receive: &mut dyn FnMut(&StoredMessage<'_>) -> ControlFlow<()>,
) -> Result<ControlFlow<()>, Error> {
    with_columns(row, |columns| {
        message(topic, columns).map(|message| receive(&message))
    })
}

/// Returns `true` if the page is certain to be empty, so that no statement is needed. Not every
/// database accepts an empty list of types.
pub(in crate::sql) fn is_empty(request: &PageRequest<'_>) -> bool {
    request.limit == 0
        || request.after >= request.up_to
        || request.message_types == TypeFilter::Only(&[])
}

pub(in crate::sql) fn failed_reading(request: &PageRequest<'_>, cause: DieselError) -> Error {
    let (topic, after) = (request.topic, request.after);
    let doing = format!("reading topic \"{topic}\" after position {after}");
    failed_while(doing, cause)
}

/// Builds the statement that selects the messages of a page.
pub(in crate::sql) fn page<'a, DB: Dialect>(
    table: &'a MessageTable,
    request: &'a PageRequest<'_>,
    select: Select,
) -> Statement<'a> {
    let (condition, types) = types_of(request.message_types);
    let filter = match types {
        [] => String::new(),
        _ => format!("AND {condition}"),
    };
    let (in_part, slots) = of_part(request.part);
    let columns = match table.message_version {
        Some(_) => select.columns.replace("{version}", "{message_version}"),
        None => select.columns.replace("{version}", "1"),
    };
    let from = select.from;
    let sql = format!(
        "SELECT {columns} FROM {from} \
         WHERE {{of_topic}} AND {{id}} > ? AND {{id}} <= ?{in_part} {filter} {{is_readable}} \
         ORDER BY {{id}} LIMIT {{limit}}"
    );
    let limit = Value::limit(request.limit);
    let between = [request.after, request.up_to].map(|position| Number(position.get()));
    let types = types.iter().map(|name| Text(name));
    let values = of_topic::<DB>(request.topic).chain(between).chain(slots);
    Statement::new(sql, table, values.chain(types).chain([limit]))
}

/// Returns the condition that a message is of a part of its topic, and its values. Where an index on
/// topic and position contains the slot, a row of another part is not read.
pub(in crate::sql) fn of_part(part: Part) -> (String, Vec<Value<'static>>) {
    let slot = match part {
        Part::Whole => return (String::new(), Vec::new()),
        Part::Keys(_) => "{key_slot}".to_owned(),
        Part::Positions(_) => format!("({{id}} % {SLOTS}) * {SPREAD} % {SLOTS}"),
    };
    let range = part.slots().map(|SlotRange { from, to }| [from, to]);
    let values = range.into_iter().flatten().map(|slot| Number(slot.into()));
    (format!(" AND {slot} BETWEEN ? AND ?"), values.collect())
}

/// Returns the condition that a message is of these types, and the types that are its values.
pub(in crate::sql) fn types_of<'a>(filter: TypeFilter<'a>) -> (String, &'a [&'a str]) {
    let (operator, types) = match filter {
        TypeFilter::All | TypeFilter::Except([]) => return ("1 = 1".to_owned(), &[]),
        TypeFilter::Only(types) => ("IN", types),
        TypeFilter::Except(types) => ("NOT IN", types),
    };
    let list = vec!["{text}"; types.len()].join(", ");
    (format!("{{message_type}} {operator} ({list})"), types)
}

pub(in crate::sql) fn of_topic<DB: Dialect>(topic: &str) -> impl Iterator<Item = Value<'_>> {
    std::iter::repeat_n(Text(topic), DB::OF_TOPIC.matches('?').count())
}

fn message<'v, DB: ReadValue>(
    topic: &'v str,
    [id, columns @ ..]: &'v mut [Column<'_, DB>; 7],
) -> Result<StoredMessage<'v>, Error> {
    let position = id
        .integer("id")
        .map(Position::new)
        .map_err(|broken| Error::permanent(format!("reading topic \"{topic}\""), broken))?;
    message_at(position, topic, columns)
        .map_err(|broken| Error::broken_row(topic, position, broken))
}

fn message_at<'v, DB: ReadValue>(
    position: Position,
    topic: &'v str,
    [id, message_type, version, payload, headers, published_at]: &'v mut [Column<'_, DB>; 6],
) -> Result<StoredMessage<'v>, BrokenColumn> {
    Ok(StoredMessage {
        position,
        message_id: id.uuid("message_id")?,
        topic,
        message_type: message_type.text("message_type")?,
        message_version: message_version(version.integer("message_version")?)?,
        payload: payload.text("payload")?,
        headers: headers.text("headers")?,
        published_at: published_at.time("published_at")?,
    })
}

fn message_version(found: i64) -> Result<u32, BrokenColumn> {
    let version = u32::try_from(found).ok().filter(|version| *version > 0);
    version.ok_or_else(|| BrokenColumn::new("message_version", "a version from 1", found))
}
