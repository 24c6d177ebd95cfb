use diesel::connection::LoadConnection;
use diesel::sqlite::Sqlite;

use crate::error::Error;
use crate::sql::dialect::Statement;
use crate::sql::dialect::Value::{Number, OptionalText, Text};
use crate::sql::schema::TableSchema;
use crate::sql::statements::leases::{locked, milliseconds, no_segment, noted};
use crate::sql::statements::segments;
use crate::sql::statements::taking::take;
use crate::store::lease::{Lease, LeaseRequest};
use crate::store::segment::Segment;

/// Inserts the consumer with its lease, or takes its lease over. Returns no row if another owner
/// holds the lease.
const TAKE: &str = "
    INSERT INTO {table} AS held
        ({consumer}, {topic}, {lease_owner}, {lease_epoch}, {lease_expires_at}, {event_set},
            {source}, {work})
    VALUES (?, ?, ?, 1, {now_plus_millis}, ?, ?, ?)
    ON CONFLICT ({consumer}, {topic}) DO UPDATE SET
        {lease_owner} = excluded.{lease_owner},
        {work} = CASE
            WHEN held.{lease_owner} = excluded.{lease_owner} OR held.{work} IS NULL THEN excluded.{work}
            WHEN held.{work} = 'page taken' THEN 'page' ELSE held.{work} END,
        {lease_epoch} = held.{lease_epoch} + 1,
        {lease_expires_at} = excluded.{lease_expires_at}
    WHERE held.{lease_owner} IS NULL
        OR held.{lease_owner} = excluded.{lease_owner}
        OR held.{lease_expires_at} <= {now}
    RETURNING {cursor}, {lease_epoch}, {replay_until}, {work}, {suspect_until}, {anchor_position},
        {anchor_id}, {event_set}, {source}";

/// Takes the lease on a segment, which exists. Returns no row if another owner holds the lease.
const TAKE_SEGMENT: &str = "
    UPDATE {table}
    SET {lease_owner} = ?,
        {work} = CASE WHEN {lease_owner} = ? OR {work} IS NULL THEN ?
            WHEN {work} = 'page taken' THEN 'page' ELSE {work} END,
        {lease_epoch} = {lease_epoch} + 1, {lease_expires_at} = {now_plus_millis}
    WHERE {consumer} = ? AND {topic} = ?
        AND ({lease_owner} IS NULL OR {lease_owner} = ? OR {lease_expires_at} <= {now})
    RETURNING {cursor}, {lease_epoch}, {replay_until}, {work}, {suspect_until}, {anchor_position},
        {anchor_id}, {event_set}, {source}";

pub(super) fn acquire<C>(
    connection: &mut C,
    schema: &TableSchema,
    request: &LeaseRequest<'_>,
) -> Result<Lease, Error>
where
    C: LoadConnection<Backend = Sqlite> + 'static,
{
    if let Some(segment) = request.segment {
        return acquire_segment(connection, schema, request, segment);
    }
    let names = [request.consumer, request.topic, request.owner].map(Text);
    let values = names
        .into_iter()
        .chain([Number(milliseconds(request.duration))])
        .chain([request.identity.event_set, request.identity.source].map(OptionalText))
        .chain([noted(request)]);
    match take(
        connection,
        request,
        Statement::new(TAKE, &schema.consumer_state, values),
    )? {
        Some(lease) => Ok(lease),
        None => Err(locked(connection, schema, request)?),
    }
}

fn acquire_segment<C>(
    connection: &mut C,
    schema: &TableSchema,
    request: &LeaseRequest<'_>,
    segment: &Segment,
) -> Result<Lease, Error>
where
    C: LoadConnection<Backend = Sqlite> + 'static,
{
    let values = [
        Text(request.owner),
        Text(request.owner),
        noted(request),
        Number(milliseconds(request.duration)),
        Text(&segment.name),
        Text(request.topic),
        Text(request.owner),
    ];
    let take_segment = Statement::new(TAKE_SEGMENT, &schema.segments, values);
    if let Some(lease) = take(connection, request, take_segment)? {
        return Ok(lease);
    }
    match segments::stored(connection, schema, request.key(), segment)? {
        Some(_) => Err(locked(connection, schema, request)?),
        None => Err(no_segment(request, segment)),
    }
}
