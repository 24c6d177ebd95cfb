//! The statements for the consumer state, in the form that every database understands.

use std::time::Duration;

use diesel::connection::LoadConnection;
use diesel::result::Error as DieselError;

use crate::error::Error;
use crate::position::Position;
use crate::sql::dialect::Value::{Number, OptionalNumber, OptionalText, Text};
use crate::sql::dialect::{Dialect, Statement, Value};
use crate::sql::error::failed_while;
use crate::sql::rows::{BrokenColumn, Column, ReadValue, first_row};
use crate::sql::schema::{ConsumerStateTable, TableSchema};
use crate::store::consumer_state::{ConsumerRow, CursorUpdate, NoteWork};
use crate::store::key::ConsumerKey;
use crate::store::lease::{Lease, LeaseRequest};
use crate::store::work::Work;

const STORE_AND_HOLD: &str = "
    UPDATE {table}
    SET {cursor} = ?, {cursor_moved_at} = {now}, {work} = 'page', {lease_expires_at} = {now_plus_millis}
    WHERE {consumer} = ? AND {topic} = ? AND {lease_owner} = ? AND {lease_epoch} = ?";

const STORE_AND_RELEASE: &str = "
    UPDATE {table}
    SET {cursor} = ?, {cursor_moved_at} = {now}, {work} = NULL, {lease_owner} = NULL,
        {lease_expires_at} = NULL
    WHERE {consumer} = ? AND {topic} = ? AND {lease_owner} = ? AND {lease_epoch} = ?";

const NOTE_WORK: &str = "
    UPDATE {table}
    SET {work} = ?, {suspect_until} = ?, {lease_expires_at} = {now_plus_millis}
    WHERE {consumer} = ? AND {topic} = ? AND {lease_owner} = ? AND {lease_epoch} = ?";

const RENEW: &str = "
    UPDATE {table}
    SET {lease_expires_at} = {now_plus_millis}
    WHERE {consumer} = ? AND {topic} = ? AND {lease_owner} = ? AND {lease_epoch} = ?";

const RELEASE: &str = "
    UPDATE {table}
    SET {work} = NULL, {lease_owner} = NULL, {lease_expires_at} = NULL
    WHERE {consumer} = ? AND {topic} = ? AND {lease_owner} = ? AND {lease_epoch} = ?";

const RESET: &str = "
    UPDATE {table}
    SET {cursor} = ?, {replay_until} = ?, {cursor_moved_at} = {now}, {work} = NULL,
        {suspect_until} = NULL, {lease_owner} = NULL, {lease_expires_at} = NULL
    WHERE {consumer} = ? AND {topic} = ? AND {lease_owner} = ? AND {lease_epoch} = ?";

const PAUSE: &str = "
    UPDATE {table} SET {paused_at} = coalesce({paused_at}, {now})
    WHERE {consumer} = ? AND {topic} = ?";

const RESUME: &str = "
    UPDATE {table} SET {paused_at} = NULL WHERE {consumer} = ? AND {topic} = ?";

/// Each subquery on the failures is a single index lookup.
const STATUS: &str = "
    SELECT {cursor}, {lease_owner}, {lease_epoch}, {lease_expires_at}, {paused_at},
        {cursor_moved_at}, {work}, {suspect_until}, {now},
        (SELECT min({failures.position}) FROM {failures.table} WHERE {failures.consumer} = ?
            AND {failures.topic} = ? AND {failures.state} = 'redriven'),
        (SELECT min({failures.position}) FROM {failures.table} WHERE {failures.consumer} = ?
            AND {failures.topic} = ? AND {failures.state} = 'final')
    FROM {table}
    WHERE {consumer} = ? AND {topic} = ?
    ORDER BY {lease_epoch} DESC LIMIT 1";

/// Runs a statement that takes the lease. Returns the lease if the statement returns a row.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(in crate::sql) fn take<C>(
    connection: &mut C,
    request: &LeaseRequest<'_>,
    statement: Statement<'_>,
) -> Result<Option<Lease>, Error>
where
    C: LoadConnection,
    C::Backend: Dialect + ReadValue,
{
    type Columns<'a, DB> = [Column<'a, DB>; 5];
    let read = |columns: &mut Columns<'_, C::Backend>| {
        let [cursor, epoch, replay_until, work, suspect_until] = columns;
        Ok(Lease {
            consumer: request.consumer.to_owned(),
            topic: request.topic.to_owned(),
            owner: request.owner.to_owned(),
            epoch: epoch.integer("lease_epoch")?,
            cursor: cursor.optional_integer("cursor")?.map(Position::new),
            replay_until: replay_until
                .optional_integer("replay_until")?
                .map(Position::new),
            left: work.optional_text("work")?.map(Work::from_stored),
            suspect_until: suspect_until
                .optional_integer("suspect_until")?
                .map(Position::new),
        })
    };
    first_row(connection, statement, read).map_err(|cause| taking_failed(request, cause))
}

pub(in crate::sql) fn taking_failed(request: &LeaseRequest<'_>, cause: DieselError) -> Error {
    failed(request.key(), "taking the lease", cause)
}

/// Returns the error that names the holder of a lease that could not be taken.
pub(in crate::sql) fn locked<C>(
    connection: &mut C,
    schema: &TableSchema,
    request: &LeaseRequest<'_>,
) -> Result<Error, Error>
where
    C: LoadConnection,
    C::Backend: Dialect + ReadValue,
{
    let holder = status(connection, schema, request.key())?;
    let (owner, expires_at) = holder
        .map(|status| (status.lease_owner, status.lease_expires_at))
        .unwrap_or_default();
    Ok(Error::lease_held(request, owner, expires_at))
}

pub(in crate::sql) fn store_cursor<C>(
    connection: &mut C,
    table: &ConsumerStateTable,
    lease: &Lease,
    store: &CursorUpdate,
) -> Result<(), Error>
where
    C: LoadConnection,
    C::Backend: Dialect,
{
    let cursor = OptionalNumber(store.cursor.map(Position::get));
    let (sql, values) = match store.extend_lease {
        Some(duration) => (STORE_AND_HOLD, vec![cursor, Number(milliseconds(duration))]),
        None => (STORE_AND_RELEASE, vec![cursor]),
    };
    update_held(connection, table, lease, sql, values, "storing the cursor")
}

pub(in crate::sql) fn note_work<C>(
    connection: &mut C,
    table: &ConsumerStateTable,
    lease: &Lease,
    note: &NoteWork,
) -> Result<(), Error>
where
    C: LoadConnection,
    C::Backend: Dialect,
{
    let work = note.work.map(|work| work.to_string());
    let values = [
        OptionalText(work.as_deref()),
        OptionalNumber(note.suspect_until.map(Position::get)),
        Number(milliseconds(note.extend_lease)),
    ];
    let doing = "recording the handed-out work";
    update_held(connection, table, lease, NOTE_WORK, values, doing)
}

pub(in crate::sql) fn renew<C>(
    connection: &mut C,
    table: &ConsumerStateTable,
    lease: &Lease,
    duration: Duration,
) -> Result<(), Error>
where
    C: LoadConnection,
    C::Backend: Dialect,
{
    let (values, doing) = ([Number(milliseconds(duration))], "renewing the lease");
    update_held(connection, table, lease, RENEW, values, doing)
}

/// Releases the lease. Fails if the lease is no longer held.
pub(in crate::sql) fn end<C>(
    connection: &mut C,
    table: &ConsumerStateTable,
    lease: &Lease,
) -> Result<(), Error>
where
    C: LoadConnection,
    C::Backend: Dialect,
{
    let doing = "releasing the lease";
    update_held(connection, table, lease, RELEASE, [], doing)
}

pub(in crate::sql) fn release<C>(
    connection: &mut C,
    table: &ConsumerStateTable,
    lease: &Lease,
) -> Result<(), Error>
where
    C: LoadConnection,
    C::Backend: Dialect,
{
    match end(connection, table, lease) {
        Err(error) if !error.is_lease_lost() => Err(error),
        _ => Ok(()),
    }
}

pub(in crate::sql) fn reset<C>(
    connection: &mut C,
    table: &ConsumerStateTable,
    lease: &Lease,
    cursor: Option<Position>,
) -> Result<(), Error>
where
    C: LoadConnection,
    C::Backend: Dialect,
{
    let positions = [cursor, lease.replayed_after_reset()];
    let values = positions.map(|position| OptionalNumber(position.map(Position::get)));
    update_held(connection, table, lease, RESET, values, "moving the cursor")
}

pub(in crate::sql) fn set_paused<C>(
    connection: &mut C,
    table: &ConsumerStateTable,
    key: ConsumerKey<'_>,
    paused: bool,
) -> Result<bool, Error>
where
    C: LoadConnection,
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

/// Updates the consumer's row. Fails if the lease is no longer held.
fn update_held<'a, C>(
    connection: &mut C,
    table: &'a ConsumerStateTable,
    lease: &'a Lease,
    sql: &'static str,
    values: impl IntoIterator<Item = Value<'a>>,
    doing: &str,
) -> Result<(), Error>
where
    C: LoadConnection,
    C::Backend: Dialect,
{
    let held = [&lease.consumer, &lease.topic, &lease.owner].map(|text| Text(text));
    let values = values.into_iter().chain(held).chain([Number(lease.epoch)]);
    match connection.execute_returning_count(&Statement::new(sql, table, values)) {
        Ok(1) => Ok(()),
        Ok(_) => Err(Error::lease_lost(lease)),
        Err(cause) => Err(failed(lease.key(), doing, cause)),
    }
}

pub(in crate::sql) fn status<C>(
    connection: &mut C,
    schema: &TableSchema,
    key: ConsumerKey<'_>,
) -> Result<Option<ConsumerRow>, Error>
where
    C: LoadConnection,
    C::Backend: Dialect + ReadValue,
{
    let status = Statement::new(
        STATUS,
        schema,
        [key.consumer, key.topic].repeat(3).into_iter().map(Text),
    );
    first_row(connection, status, stored_consumer)
        .map_err(|cause| failed(key, "reading the consumer's state", cause))
}

fn stored_consumer<DB: ReadValue>(
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
    ]: &mut [Column<'_, DB>; 11],
) -> Result<ConsumerRow, BrokenColumn> {
    let suspect_until = suspect_until.optional_integer("suspect_until")?;
    let first_redriven = first_redriven.optional_integer("position")?;
    let first_final = first_final.optional_integer("position")?;
    Ok(ConsumerRow {
        cursor: cursor.optional_integer("cursor")?.map(Position::new),
        lease_owner: owner.optional_text("lease_owner")?.map(str::to_owned),
        lease_epoch: epoch.integer("lease_epoch")?,
        lease_expires_at: expires_at.optional_time("lease_expires_at")?,
        paused_at: paused_at.optional_time("paused_at")?,
        cursor_moved_at: moved_at.optional_time("cursor_moved_at")?,
        work: work.optional_text("work")?.map(Work::from_stored),
        suspect_until: suspect_until.map(Position::new),
        first_redriven: first_redriven.map(Position::new),
        first_final: first_final.map(Position::new),
        now: now.time("now")?,
    })
}

/// Returns the duration in milliseconds, at most a century, because the databases' calendars end.
pub(in crate::sql) fn milliseconds(duration: Duration) -> i64 {
    const CENTURY: i64 = 100 * 365 * 24 * 60 * 60 * 1_000;
    let milliseconds = i64::try_from(duration.as_millis()).unwrap_or(CENTURY);
    milliseconds.min(CENTURY)
}

pub(in crate::sql) fn failed(key: ConsumerKey<'_>, doing: &str, cause: DieselError) -> Error {
    failed_while(format!("{doing} on topic \"{}\"", key.topic), cause).of_consumer(key.consumer)
}
