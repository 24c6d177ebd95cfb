use diesel::connection::LoadConnection;
use diesel::mysql::Mysql;
use diesel::result::QueryResult;

use crate::error::Error;
use crate::position::Position;
use crate::sql::dialect::Value::{Number, OptionalNumber, OptionalText, Text};
use crate::sql::dialect::{Names, Statement, Value};
use crate::sql::executor::on_sync::OnSync;
use crate::sql::own_transactions::is_in_transaction;
use crate::sql::rows::{Column, first_row};
use crate::sql::schema::TableSchema;
use crate::sql::statements::consumers::{read_anchor, read_identity};
use crate::sql::statements::duplicates::is_unique_violation;
use crate::sql::statements::leases::{locked, milliseconds, no_segment, noted, taking_failed};
use crate::store::identity::StoredIdentity;
use crate::store::lease::{Lease, LeaseRequest};
use crate::store::place::Anchor;
use crate::store::work::Work;

/// Reads the consumer's row, and whether its lease is free. Reading does not wait for a holder
/// whose transaction is open.
const LOOK: &str = "
    SELECT {cursor}, {lease_epoch}, {replay_until}, {work}, {suspect_until},
        coalesce({lease_owner} <> ?, 0),
        {lease_owner} IS NULL OR {lease_owner} = ? OR {lease_expires_at} <= {now},
        {anchor_position}, {anchor_id}, {event_set}, {source}, CAST(@@autocommit AS SIGNED)
    FROM {table} WHERE {consumer} = ? AND {topic} = ?";

/// Checks that no transaction holds the row. A holder whose lease has expired may still have an
/// open transaction.
const PROBE: &str = "
    SELECT 1 FROM {table} WHERE {consumer} = ? AND {topic} = ? FOR UPDATE SKIP LOCKED";

/// Takes the lease over, if the row is still as it was read.
const TAKE_OVER: &str = "
    UPDATE {table}
    SET {work} = CASE WHEN {lease_owner} = ? OR {work} IS NULL THEN ? ELSE {work} END,
        {lease_owner} = ?, {lease_epoch} = {lease_epoch} + 1, {lease_expires_at} = {now_plus_millis}
    WHERE {consumer} = ? AND {topic} = ? AND {lease_epoch} = ? AND {cursor} <=> ? AND {work} <=> ?
        AND ({lease_owner} IS NULL OR {lease_owner} = ? OR {lease_expires_at} <= {now})";

const INSERT: &str = "
    INSERT INTO {table}
        ({lease_owner}, {lease_epoch}, {lease_expires_at}, {consumer}, {topic}, {event_set},
            {source}, {work})
    VALUES (?, 1, {now_plus_millis}, ?, ?, ?, ?, ?)";

/// A consumer's row.
struct Seen {
    cursor: Option<i64>,
    epoch: i64,
    replay_until: Option<i64>,
    work: Option<String>,
    suspect_until: Option<i64>,
    is_of_other: bool,
    is_free: bool,
    anchor: Option<Anchor>,
    identity: StoredIdentity,
    /// Whether statements outside of transactions take effect at once.
    commits_itself: bool,
}

/// Fails if nothing that the consumer writes would take effect.
fn check_session<C>(
    connection: &mut C,
    request: &LeaseRequest<'_>,
    seen: &Seen,
) -> Result<(), Error>
where
    C: LoadConnection<Backend = Mysql> + 'static,
{
    if seen.commits_itself || is_in_transaction(&mut OnSync(connection)) {
        return Ok(());
    }
    let problem = "this session has autocommit = 0, so what a consumer writes would not be committed: \
         set autocommit to 1";
    let doing = format!("taking the lease on topic \"{}\"", request.topic);
    Err(Error::permanent(doing, problem).of_consumer(request.consumer))
}

pub(super) fn acquire<C>(
    connection: &mut C,
    schema: &TableSchema,
    request: &LeaseRequest<'_>,
) -> Result<Lease, Error>
where
    C: LoadConnection<Backend = Mysql> + 'static,
{
    let table = schema.rows_of(request.segment);
    let failed = |cause| taking_failed(request, cause);
    // Another process may take the lease first, and may release it again. That happens only a few
    // times in a row.
    for _ in 0..10 {
        let seen = look(connection, table, request).map_err(failed)?;
        if let Some(seen) = &seen {
            check_session(connection, request, seen)?;
        }
        let taken = match &seen {
            Some(Seen { is_free: false, .. }) => break,
            Some(Seen {
                is_of_other: true, ..
            }) if !probe(connection, table, request).map_err(failed)? => break,
            Some(seen) => take_over(connection, table, request, seen),
            None => match request.segment {
                Some(segment) => return Err(no_segment(request, segment)),
                None => insert(connection, table, request),
            },
        };
        if taken.map_err(failed)? {
            if seen.is_none()
                && let Some(inserted) = look(connection, table, request).map_err(failed)?
            {
                check_session(connection, request, &inserted)?;
            }
            return Ok(lease_on(request, seen.as_ref()));
        }
    }
    Err(locked(connection, schema, request)?)
}

/// Returns the lease that was taken.
fn lease_on(request: &LeaseRequest<'_>, seen: Option<&Seen>) -> Lease {
    let position = |column: fn(&Seen) -> Option<i64>| seen.and_then(column).map(Position::new);
    let left = seen.filter(|seen| seen.is_of_other);
    let left = left.and_then(|seen| seen.work.as_deref());
    Lease {
        consumer: request.consumer.to_owned(),
        topic: request.topic.to_owned(),
        segment: request.segment.cloned(),
        owner: request.owner.to_owned(),
        epoch: seen.map_or(0, |seen| seen.epoch) + 1,
        cursor: position(|seen| seen.cursor),
        anchor: seen.and_then(|seen| seen.anchor),
        replay_until: position(|seen| seen.replay_until),
        left: left.map(Work::from_stored),
        suspect_until: position(|seen| seen.suspect_until),
        identity: seen.map_or_else(|| request.identity.into(), |seen| seen.identity.clone()),
    }
}

fn look<C>(
    connection: &mut C,
    table: &dyn Names,
    request: &LeaseRequest<'_>,
) -> QueryResult<Option<Seen>>
where
    C: LoadConnection<Backend = Mysql> + 'static,
{
    let values = [
        request.owner,
        request.owner,
        request.row_name(),
        request.topic,
    ];
    let values = values.map(Text);
    let look = Statement::new(LOOK, table, values);
    first_row(connection, look, |columns: &mut [Column<'_, Mysql>; 12]| {
        let [
            cursor,
            epoch,
            replay_until,
            work,
            suspect_until,
            is_of_other,
            is_free,
            anchor_position,
            anchor_id,
            event_set,
            source,
            autocommit,
        ] = columns;
        Ok(Seen {
            cursor: cursor.optional_integer("cursor")?,
            epoch: epoch.integer("lease_epoch")?,
            replay_until: replay_until.optional_integer("replay_until")?,
            work: work.optional_text("work")?.map(str::to_owned),
            suspect_until: suspect_until.optional_integer("suspect_until")?,
            is_of_other: is_of_other.integer("lease_owner")? == 1,
            // A lease that has no time of expiry cannot be taken.
            is_free: is_free.optional_integer("lease_expires_at")? == Some(1),
            anchor: read_anchor([anchor_position, anchor_id])?,
            identity: read_identity([event_set, source])?,
            commits_itself: autocommit.integer("autocommit")? != 0,
        })
    })
}

fn probe<C>(connection: &mut C, table: &dyn Names, request: &LeaseRequest<'_>) -> QueryResult<bool>
where
    C: LoadConnection<Backend = Mysql> + 'static,
{
    let values = [request.row_name(), request.topic].map(Text);
    let probe = Statement::new(PROBE, table, values);
    let free = first_row(connection, probe, |[one]| one.integer("1"))?;
    Ok(free.is_some())
}

/// Takes the lease over. Returns `false` if another process was faster.
fn take_over<C>(
    connection: &mut C,
    table: &dyn Names,
    request: &LeaseRequest<'_>,
    seen: &Seen,
) -> QueryResult<bool>
where
    C: LoadConnection<Backend = Mysql> + 'static,
{
    let conditions = [
        Number(seen.epoch),
        OptionalNumber(seen.cursor),
        OptionalText(seen.work.as_deref()),
        Text(request.owner),
    ];
    let values = [Text(request.owner), noted(request)].into_iter();
    let values = values.chain(new_values(request)).chain(conditions);
    let taken = connection.execute_returning_count(&Statement::new(TAKE_OVER, table, values))?;
    Ok(taken == 1)
}

/// Inserts the consumer with its lease. Returns `false` if another process was faster.
fn insert<C>(connection: &mut C, table: &dyn Names, request: &LeaseRequest<'_>) -> QueryResult<bool>
where
    C: LoadConnection<Backend = Mysql> + 'static,
{
    let identity = [request.identity.event_set, request.identity.source].map(OptionalText);
    let values = new_values(request).into_iter().chain(identity);
    let values = values.chain([noted(request)]);
    let insert = Statement::new(INSERT, table, values);
    match connection.execute_returning_count(&insert) {
        Ok(_) => Ok(true),
        Err(cause) if is_unique_violation(&cause) => Ok(false),
        Err(cause) => Err(cause),
    }
}

/// Returns the values that are written, and the key of the row.
fn new_values<'a>(request: &LeaseRequest<'a>) -> [Value<'a>; 4] {
    [
        Text(request.owner),
        Number(milliseconds(request.duration)),
        Text(request.row_name()),
        Text(request.topic),
    ]
}
