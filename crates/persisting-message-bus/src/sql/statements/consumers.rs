//! The statements for consumers without a lease, in the form that every database understands.

use std::borrow::Cow;

use diesel::connection::LoadConnection;
use diesel::result::Error as DieselError;
use uuid::Uuid;

use crate::error::Error;
use crate::position::Position;
use crate::sql::dialect::Value::Text;
use crate::sql::dialect::{Dialect, Statement};
use crate::sql::error::failed_while;
use crate::sql::executor::Asked;
use crate::sql::rows::{BrokenColumn, Column, ReadValue};
use crate::sql::schema::{ConsumerStateTable, TableSchema};
use crate::store::consumer_state::ConsumerRow;
use crate::store::identity::StoredIdentity;
use crate::store::key::ConsumerKey;
use crate::store::place::Anchor;
use crate::store::segment::Division;
use crate::store::work::Work;

const PAUSE: &str = "
    UPDATE {table} SET {paused_at} = coalesce({paused_at}, {now})
    WHERE {consumer} = ? AND {topic} = ?";

const RESUME: &str = "
    UPDATE {table} SET {paused_at} = NULL WHERE {consumer} = ? AND {topic} = ?";

const REPLACE_EVENT_SET: &str = "
    UPDATE {table} SET {event_set} = ? WHERE {consumer} = ? AND {topic} = ? AND {event_set} = {text}";

const REPLACE_OF_SEGMENTS: &str = "
    UPDATE {table} SET {event_set} = ?
    WHERE {of_consumer} = ? AND {topic} = ? AND {event_set} = {text}";

/// Each subquery on the failures is a single index lookup.
const STATUS: &str = "
    SELECT {cursor}, {lease_owner}, {lease_epoch}, {lease_expires_at}, {paused_at},
        {cursor_moved_at}, {work}, {suspect_until}, {now},
        (SELECT min({failures.position}) FROM {failures.table} WHERE {failures.consumer} = ?
            AND {failures.topic} = ? AND {failures.state} = 'redriven'),
        (SELECT min({failures.position}) FROM {failures.table} WHERE {failures.consumer} = ?
            AND {failures.topic} = ? AND {failures.state} = 'final'),
        {anchor_position}, {anchor_id}, {event_set}, {source}, {division}
    FROM {table} AS state
    WHERE {consumer} = ? AND {topic} = ?
    ORDER BY state.{lease_epoch} DESC LIMIT 1";

/// The columns of a segment's row, with those of `STATUS` first. The subqueries pass over the
/// failures of the other segments in the same state. The row is that of `segment`, because the columns
/// of both tables can have the same names.
pub(in crate::sql) const OF_SEGMENT: &str = "{cursor}, {lease_owner}, {lease_epoch},
    {lease_expires_at}, {paused_at}, {cursor_moved_at}, {work}, {suspect_until}, {now},
    (SELECT min({failures.position}) FROM {failures.table} AS failure WHERE {failures.consumer} = ?
        AND {failures.topic} = ? AND {failures.state} = 'redriven'
        AND {failures.key_slot} BETWEEN segment.{slot_from} AND segment.{slot_to}),
    (SELECT min({failures.position}) FROM {failures.table} AS failure WHERE {failures.consumer} = ?
        AND {failures.topic} = ? AND {failures.state} = 'final'
        AND {failures.key_slot} BETWEEN segment.{slot_from} AND segment.{slot_to}),
    {anchor_position}, {anchor_id}, {event_set}, {source}, NULL, {slot_from}, {slot_to}";

pub(in crate::sql) fn set_paused<C>(
    connection: &mut C,
    table: &ConsumerStateTable,
    key: ConsumerKey<'_>,
    paused: bool,
) -> Result<bool, Error>
where
    C: LoadConnection + 'static,
    C::Backend: Dialect,
{
    let (sql, doing) = if paused {
        (PAUSE, "pausing the consumer")
    } else {
        (RESUME, "resuming the consumer")
    };
    connection
        .execute_returning_count(&Statement::new(
            sql,
            table,
            [Text(key.consumer), Text(key.topic)],
        ))
        .map(|updated| updated > 0)
        .map_err(|cause| failed(key, doing, cause))
}

/// Replaces the first text by the second, in the row of the consumer and in those of its segments.
pub(in crate::sql) fn replace_event_set<C>(
    connection: &mut C,
    schema: &TableSchema,
    key: ConsumerKey<'_>,
    [before, after]: [&str; 2],
) -> Result<bool, Error>
where
    C: LoadConnection + 'static,
    C::Backend: Dialect,
{
    let values = [after, key.consumer, key.topic, before].map(Text);
    let whole = Statement::new(REPLACE_EVENT_SET, &schema.consumer_state, values);
    let of_segments = Statement::new(REPLACE_OF_SEGMENTS, &schema.segments, values);
    let has_segments = schema.consumer_state.division.is_some();
    let replaced = connection.transaction(|connection| {
        let updated = connection.execute_returning_count(&whole)?;
        let of_segments = if has_segments {
            connection.execute_returning_count(&of_segments)?
        } else {
            0
        };
        Ok(updated + of_segments > 0)
    });
    replaced.map_err(|cause| failed(key, "replacing the event set", cause))
}

pub(in crate::sql) async fn status<A: Asked>(
    asked: &mut A,
    schema: &TableSchema,
    key: ConsumerKey<'_>,
) -> Result<Option<ConsumerRow>, Error> {
    let sql = match schema.consumer_state.division {
        Some(_) => Cow::Borrowed(STATUS),
        None => Cow::Owned(STATUS.replace("{division}", "NULL")),
    };
    let values = [key.consumer, key.topic].repeat(3).into_iter().map(Text);
    let status = Statement::new(sql, schema, values);
    let status = asked.first_row(status, stored_consumer).await;
    status.map_err(|cause| failed(key, "reading the consumer's state", cause))
}

pub(in crate::sql) fn stored_consumer<DB: ReadValue>(
    [
        cursor,
        owner,
        epoch,
        expires_at,
        paused_at,
        moved_at,
        work,
        suspect_until,
        now,
        first_redriven,
        first_final,
        anchor_position,
        anchor_id,
        event_set,
        source,
        division,
    ]: &mut [Column<'_, DB>; 16],
) -> Result<ConsumerRow, BrokenColumn> {
    let suspect_until = suspect_until.optional_integer("suspect_until")?;
    let first_redriven = first_redriven.optional_integer("position")?;
    let first_final = first_final.optional_integer("position")?;
    Ok(ConsumerRow {
        cursor: cursor.optional_integer("cursor")?.map(Position::new),
        anchor: read_anchor([anchor_position, anchor_id])?,
        lease_owner: owner.optional_text("lease_owner")?.map(str::to_owned),
        lease_epoch: epoch.integer("lease_epoch")?,
        lease_expires_at: expires_at.optional_time("lease_expires_at")?,
        paused_at: paused_at.optional_time("paused_at")?,
        cursor_moved_at: moved_at.optional_time("cursor_moved_at")?,
        work: work.optional_text("work")?.map(Work::from_stored),
        suspect_until: suspect_until.map(Position::new),
        first_redriven: first_redriven.map(Position::new),
        first_final: first_final.map(Position::new),
        identity: read_identity([event_set, source])?,
        division: division
            .optional_text("division")?
            .map(read_division)
            .transpose()?,
        now: now.time("now")?,
    })
}

fn read_division(text: &str) -> Result<Division, BrokenColumn> {
    let broken = || {
        BrokenColumn::new(
            "division",
            "a division into segments",
            format_args!("{text:?}"),
        )
    };
    Division::from_stored(text).ok_or_else(broken)
}

/// Reads an anchor from the columns of its position and its id.
pub(in crate::sql) fn read_anchor<DB: ReadValue>(
    [position, id]: [&mut Column<'_, DB>; 2],
) -> Result<Option<Anchor>, BrokenColumn> {
    let position = position.optional_integer("anchor_position")?;
    let id = match id.optional_text("anchor_id")? {
        Some(text) => {
            let broken = |_| BrokenColumn::new("anchor_id", "a UUID", format_args!("{text:?}"));
            Some(Uuid::try_parse(text).map_err(broken)?)
        }
        None => None,
    };
    Ok(position.zip(id).map(|(position, message_id)| Anchor {
        position: Position::new(position),
        message_id,
    }))
}

/// Reads an identity from the columns of the event set and of the source.
pub(in crate::sql) fn read_identity<DB: ReadValue>(
    [event_set, source]: [&mut Column<'_, DB>; 2],
) -> Result<StoredIdentity, BrokenColumn> {
    Ok(StoredIdentity {
        event_set: event_set.optional_text("event_set")?.map(str::to_owned),
        source: source.optional_text("source")?.map(str::to_owned),
    })
}

pub(in crate::sql) fn failed(key: ConsumerKey<'_>, doing: &str, cause: DieselError) -> Error {
    failed_while(format!("{doing} on topic \"{}\"", key.topic), cause).of_consumer(key.consumer)
}
