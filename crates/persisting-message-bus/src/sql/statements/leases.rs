//! The statements for leases and cursors, in the form that every database understands.

use std::time::Duration;

use diesel::connection::LoadConnection;
use diesel::result::Error as DieselError;

use crate::error::Error;
use crate::position::Position;
use crate::sql::dialect::Value::{Number, OptionalNumber, OptionalText, Text};
use crate::sql::dialect::{Dialect, Statement, Value};
use crate::sql::executor::now;
use crate::sql::executor::on_sync::OnSync;
use crate::sql::rows::ReadValue;
use crate::sql::schema::TableSchema;
use crate::sql::statements::consumers::{failed, status};
use crate::sql::statements::segments;
use crate::store::consumer_state::{CursorUpdate, NoteWork};
use crate::store::identity::ConsumerIdentity;
use crate::store::key::ConsumerKey;
use crate::store::lease::{Lease, LeaseRequest};
use crate::store::place::Place;
use crate::store::segment::Segment;

const STORE_AND_HOLD: &str = "
    UPDATE {table}
    SET {cursor} = ?, {anchor_position} = ?, {anchor_id} = ?, {cursor_moved_at} = {now},
        {work} = 'page', {lease_expires_at} = {now_plus_millis}
    WHERE {consumer} = ? AND {topic} = ? AND {lease_owner} = ? AND {lease_epoch} = ?";

const STORE_AND_RELEASE: &str = "
    UPDATE {table}
    SET {cursor} = ?, {anchor_position} = ?, {anchor_id} = ?, {cursor_moved_at} = {now},
        {work} = NULL, {lease_owner} = NULL, {lease_expires_at} = NULL
    WHERE {consumer} = ? AND {topic} = ? AND {lease_owner} = ? AND {lease_epoch} = ?";

const NOTE_WORK: &str = "
    UPDATE {table}
    SET {work} = ?, {suspect_until} = ?, {lease_expires_at} = {now_plus_millis}
    WHERE {consumer} = ? AND {topic} = ? AND {lease_owner} = ? AND {lease_epoch} = ?";

const RELEASE: &str = "
    UPDATE {table}
    SET {work} = NULL, {lease_owner} = NULL, {lease_expires_at} = NULL
    WHERE {consumer} = ? AND {topic} = ? AND {lease_owner} = ? AND {lease_epoch} = ?";

/// Ends the lease of any holder. The work that is noted stays, as after an expiry.
pub(in crate::sql) const END_ANY: &str = "
    UPDATE {table}
    SET {lease_epoch} = {lease_epoch} + 1, {lease_expires_at} = {now}
    WHERE {consumer} = ? AND {topic} = ? AND {lease_owner} IS NOT NULL";

const RESET: &str = "
    UPDATE {table}
    SET {cursor} = ?, {anchor_position} = ?, {anchor_id} = ?, {replay_until} = ?,
        {cursor_moved_at} = {now}, {work} = NULL, {suspect_until} = NULL, {lease_owner} = NULL,
        {lease_expires_at} = NULL
    WHERE {consumer} = ? AND {topic} = ? AND {lease_owner} = ? AND {lease_epoch} = ?";

const IDENTIFY: &str = "
    UPDATE {table} SET {event_set} = ?, {source} = ?
    WHERE coalesce({event_set}, '') = {text}
        AND {consumer} = ? AND {topic} = ? AND {lease_owner} = ? AND {lease_epoch} = ?";

/// The stored form of a page that a holder notes when it takes the lease. Where an earlier holder has left
/// the same text, a statement that returns the row writes `page` instead. So the row tells whose it is.
pub(in crate::sql) const TAKEN_PAGE: &str = "page taken";

/// Returns the work that is noted when the lease is taken.
pub(in crate::sql) fn noted<'a>(request: &LeaseRequest<'_>) -> Value<'a> {
    OptionalText(request.hands_out.then_some(TAKEN_PAGE))
}

pub(in crate::sql) fn taking_failed(request: &LeaseRequest<'_>, cause: DieselError) -> Error {
    failed(request.key(), "taking the lease", cause)
}

/// Returns the error that there is no such segment any more.
pub(in crate::sql) fn no_segment(request: &LeaseRequest<'_>, segment: &Segment) -> Error {
    let doing = format!("taking the lease on topic \"{}\"", request.topic);
    let problem = format!(
        "segment {} is not there: the number of segments has changed",
        segment.number
    );
    Error::transient(doing, problem).of_consumer(request.consumer)
}

/// Returns the error that names the holder of a lease that could not be taken.
pub(in crate::sql) fn locked<C>(
    connection: &mut C,
    schema: &TableSchema,
    request: &LeaseRequest<'_>,
) -> Result<Error, Error>
where
    C: LoadConnection + 'static,
    C::Backend: Dialect + ReadValue,
{
    let holder = match request.segment {
        Some(segment) => segments::stored(connection, schema, request.key(), segment)?,
        None => now(status(&mut OnSync(connection), schema, request.key()))?,
    };
    Ok(match holder {
        Some(row) => {
            let (owner, expires_at) = (row.lease_owner, row.lease_expires_at);
            Error::requested_lease_held(request, owner, expires_at, row.now)
        }
        None => Error::lease_held(request.key(), None, None),
    })
}

pub(in crate::sql) fn store_cursor<C>(
    connection: &mut C,
    schema: &TableSchema,
    lease: &Lease,
    store: &CursorUpdate,
) -> Result<(), Error>
where
    C: LoadConnection + 'static,
    C::Backend: Dialect,
{
    let id = anchor_id(store.place);
    let (sql, duration) = match store.extend_lease {
        Some(duration) => (STORE_AND_HOLD, Some(Number(milliseconds(duration)))),
        None => (STORE_AND_RELEASE, None),
    };
    let values = of_place(store.place, id.as_deref())
        .into_iter()
        .chain(duration);
    update_held(connection, schema, lease, sql, values, "storing the cursor")
}

pub(in crate::sql) fn note_work<C>(
    connection: &mut C,
    schema: &TableSchema,
    lease: &Lease,
    note: &NoteWork,
) -> Result<(), Error>
where
    C: LoadConnection + 'static,
    C::Backend: Dialect,
{
    let work = note.work.map(|work| work.to_string());
    let values = [
        OptionalText(work.as_deref()),
        OptionalNumber(note.suspect_until.map(Position::get)),
        Number(milliseconds(note.extend_lease)),
    ];
    let doing = "recording the handed-out work";
    update_held(connection, schema, lease, NOTE_WORK, values, doing)
}

/// Releases the lease. Fails if the lease is no longer held.
pub(in crate::sql) fn end<C>(
    connection: &mut C,
    schema: &TableSchema,
    lease: &Lease,
) -> Result<(), Error>
where
    C: LoadConnection + 'static,
    C::Backend: Dialect,
{
    let doing = "releasing the lease";
    update_held(connection, schema, lease, RELEASE, [], doing)
}

/// Ends the lease of any holder with a statement whose values are the keys, as often as it names
/// them. Returns whether there was one.
pub(in crate::sql) fn end_any<C>(
    connection: &mut C,
    schema: &TableSchema,
    key: ConsumerKey<'_>,
    segment: Option<&Segment>,
    sql: &'static str,
) -> Result<bool, Error>
where
    C: LoadConnection + 'static,
    C::Backend: Dialect,
{
    let keys = sql.matches('?').count() / 2;
    let row = segment.map_or(key.consumer, |segment| &segment.name);
    let values = [row, key.topic].repeat(keys).into_iter().map(Text);
    let statement = Statement::new(sql, schema.rows_of(segment), values);
    let ended = connection.execute_returning_count(&statement);
    ended
        .map(|ended| ended > 0)
        .map_err(|cause| failed(key, "ending the lease", cause))
}

pub(in crate::sql) fn release<C>(
    connection: &mut C,
    schema: &TableSchema,
    lease: &Lease,
) -> Result<(), Error>
where
    C: LoadConnection + 'static,
    C::Backend: Dialect,
{
    match end(connection, schema, lease) {
        Err(error) if !error.is_lease_lost() => Err(error),
        _ => Ok(()),
    }
}

pub(in crate::sql) fn reset<C>(
    connection: &mut C,
    schema: &TableSchema,
    lease: &Lease,
    place: Place,
) -> Result<(), Error>
where
    C: LoadConnection + 'static,
    C::Backend: Dialect,
{
    let id = anchor_id(place);
    let replay_until = OptionalNumber(lease.replayed_after_reset().map(Position::get));
    let values = of_place(place, id.as_deref())
        .into_iter()
        .chain([replay_until]);
    update_held(
        connection,
        schema,
        lease,
        RESET,
        values,
        "moving the cursor",
    )
}

pub(in crate::sql) fn identify<C>(
    connection: &mut C,
    schema: &TableSchema,
    lease: &Lease,
    identity: ConsumerIdentity<'_>,
) -> Result<(), Error>
where
    C: LoadConnection + 'static,
    C::Backend: Dialect,
{
    let before = lease.identity.event_set.as_deref().unwrap_or_default();
    let values = [
        OptionalText(identity.event_set),
        OptionalText(identity.source),
        Text(before),
    ];
    let doing = "storing what the consumer reads";
    update_held(connection, schema, lease, IDENTIFY, values, doing)
}

/// Returns the id of a place's anchor as text.
fn anchor_id(place: Place) -> Option<String> {
    place.anchor.map(|anchor| anchor.message_id.to_string())
}

/// Returns the values of a place: the cursor, and the anchor's position and id.
fn of_place(place: Place, anchor_id: Option<&str>) -> [Value<'_>; 3] {
    let anchor = place.anchor.map(|anchor| anchor.position.get());
    [
        OptionalNumber(place.cursor.map(Position::get)),
        OptionalNumber(anchor),
        OptionalText(anchor_id),
    ]
}

/// Updates the consumer's row. Fails if the lease is no longer held.
pub(in crate::sql) fn update_held<'a, C>(
    connection: &mut C,
    schema: &'a TableSchema,
    lease: &'a Lease,
    sql: &'static str,
    values: impl IntoIterator<Item = Value<'a>>,
    doing: &str,
) -> Result<(), Error>
where
    C: LoadConnection + 'static,
    C::Backend: Dialect,
{
    let table = schema.rows_of(lease.segment.as_ref());
    let held = [lease.row_name(), &lease.topic, &lease.owner].map(Text);
    let values = values.into_iter().chain(held).chain([Number(lease.epoch)]);
    match connection.execute_returning_count(&Statement::new(sql, table, values)) {
        Ok(1) => Ok(()),
        Ok(_) => Err(Error::lease_lost(lease)),
        Err(cause) => Err(failed(lease.key(), doing, cause)),
    }
}

/// Returns the duration in milliseconds, at most a century, because the databases' calendars end.
pub(in crate::sql) fn milliseconds(duration: Duration) -> i64 {
    const CENTURY: i64 = 100 * 365 * 24 * 60 * 60 * 1_000;
    let milliseconds = i64::try_from(duration.as_millis()).unwrap_or(CENTURY);
    milliseconds.min(CENTURY)
}
