use diesel::connection::LoadConnection;
use diesel::sqlite::Sqlite;

use crate::error::Error;
use crate::sql::dialect::Statement;
use crate::sql::dialect::Value::{Number, OptionalText, Text};
use crate::sql::schema::TableSchema;
use crate::sql::statements::leases::{locked, milliseconds};
use crate::sql::statements::taking::take;
use crate::store::lease::{Lease, LeaseRequest};

/// Inserts the consumer with its lease, or takes its lease over. Returns no row if another owner
/// holds the lease.
const TAKE: &str = "
    INSERT INTO {table} AS held
        ({consumer}, {topic}, {lease_owner}, {lease_epoch}, {lease_expires_at}, {event_set},
            {source})
    VALUES (?, ?, ?, 1, {now_plus_millis}, ?, ?)
    ON CONFLICT ({consumer}, {topic}) DO UPDATE SET
        {lease_owner} = excluded.{lease_owner},
        {work} = CASE WHEN held.{lease_owner} = excluded.{lease_owner} THEN NULL ELSE held.{work} END,
        {lease_epoch} = held.{lease_epoch} + 1,
        {lease_expires_at} = excluded.{lease_expires_at}
    WHERE held.{lease_owner} IS NULL
        OR held.{lease_owner} = excluded.{lease_owner}
        OR held.{lease_expires_at} <= {now}
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
    let names = [request.consumer, request.topic, request.owner].map(Text);
    let values = names
        .into_iter()
        .chain([Number(milliseconds(request.duration))])
        .chain([request.identity.event_set, request.identity.source].map(OptionalText));
    match take(
        connection,
        request,
        Statement::new(TAKE, &schema.consumer_state, values),
    )? {
        Some(lease) => Ok(lease),
        None => Err(locked(connection, schema, request)?),
    }
}
