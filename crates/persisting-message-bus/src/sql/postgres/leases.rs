use std::borrow::Cow;
use std::thread;
use std::time::{Duration, Instant};

use diesel::connection::LoadConnection;
use diesel::pg::Pg;

use crate::error::Error;
use crate::sql::dialect::Statement;
use crate::sql::dialect::Value::{Number, OptionalText, Text};
use crate::sql::executor::now;
use crate::sql::executor::on_sync::OnSync;
use crate::sql::hash::hash_of;
use crate::sql::own_transactions::is_in_transaction;
use crate::sql::rows::first_row;
use crate::sql::schema::{ConsumerStateTable, TableSchema};
use crate::sql::statements::consumers::status;
use crate::sql::statements::leases::{
    end_any, locked, milliseconds, no_segment, noted, taking_failed,
};
use crate::sql::statements::segments;
use crate::sql::statements::taking::take;
use crate::store::key::ConsumerKey;
use crate::store::lease::{Lease, LeaseRequest};
use crate::store::segment::Segment;

/// Takes the lease over. Returns no row if another owner holds the lease, or if the consumer does
/// not exist. Does not wait for a holder whose transaction is open, even if that holder's lease has
/// expired.
///
/// While any transaction stays open for long, PostgreSQL keeps all versions of a row that is
/// updated meanwhile. The epoch is part of the key, so that the current version is found without
/// walking through the others.
const TAKE: &str = "
    UPDATE {table}
    SET {lease_owner} = ?,
        {work} = CASE WHEN {lease_owner} = ? OR {work} IS NULL THEN ?
            WHEN {work} = 'page taken' THEN 'page' ELSE {work} END,
        {lease_epoch} = {lease_epoch} + 1, {lease_expires_at} = {now_plus_millis}
    WHERE {consumer} = ? AND {topic} = ? AND {lease_epoch} = (
            SELECT {lease_epoch} FROM {table} WHERE {consumer} = ? AND {topic} = ?
            ORDER BY {lease_epoch} DESC LIMIT 1 FOR UPDATE SKIP LOCKED)
        AND ({lease_owner} IS NULL OR {lease_owner} = ? OR {lease_expires_at} <= {now})
    RETURNING {cursor}, {lease_epoch}, {replay_until}, {work}, {suspect_until}, {anchor_position},
        {anchor_id}, {event_set}, {source}";

/// Follows `TAKE` if it runs in a transaction of its own and hands out nothing: the commit does not wait
/// for the disk. If a crash of the server undoes the lease, the owner's next write finds that the lease is
/// lost, because the write names owner and epoch.
///
/// A page is handed out without another write. Its note must outlast a crash of the whole machine, which
/// one of its messages can cause, and no other holder may get the same epoch while its handler works.
const WITHOUT_WAITING: &str = ", pg_catalog.set_config('synchronous_commit', 'off', true)";

/// The primary key alone does not ensure that there is one row for each consumer and topic, because
/// the epoch is part of it. So a row is inserted under this lock. The keys of this lock are of
/// another kind than those of publishers.
const LOCK: &str = "
    SELECT pg_catalog.current_setting('transaction_isolation'),
        pg_catalog.pg_advisory_xact_lock(?)::pg_catalog.text";

const INSERT: &str = "
    INSERT INTO {table} ({consumer}, {topic}, {lease_owner}, {lease_epoch}, {lease_expires_at},
        {event_set}, {source}, {work})
    SELECT ?, ?, ?, 1, {now_plus_millis}, ?, ?, ?
    WHERE NOT EXISTS (SELECT FROM {table} WHERE {consumer} = ? AND {topic} = ?)
    RETURNING {cursor}, {lease_epoch}, {replay_until}, {work}, {suspect_until}, {anchor_position},
        {anchor_id}, {event_set}, {source}";

/// Ends the lease of any holder. Does not wait for a holder whose transaction is open.
const END_ANY: &str = "
    UPDATE {table}
    SET {lease_epoch} = {lease_epoch} + 1, {lease_expires_at} = {now}
    WHERE {consumer} = ? AND {topic} = ? AND {lease_epoch} = (
            SELECT {lease_epoch} FROM {table} WHERE {consumer} = ? AND {topic} = ?
            ORDER BY {lease_epoch} DESC LIMIT 1 FOR UPDATE SKIP LOCKED)
        AND {lease_owner} IS NOT NULL";

/// How long to wait for a moment in which no transaction of the holder is open. A holder that
/// handles page after page leaves many such moments.
const PATIENCE: Duration = Duration::from_secs(5);

/// Ends the lease of any holder. Returns whether there is one.
pub(super) fn end_lease<C>(
    connection: &mut C,
    schema: &TableSchema,
    key: ConsumerKey<'_>,
    segment: Option<&Segment>,
) -> Result<bool, Error>
where
    C: LoadConnection<Backend = Pg> + 'static,
{
    let begun = Instant::now();
    loop {
        if end_any(connection, schema, key, segment, END_ANY)? {
            return Ok(true);
        }
        let held = match segment {
            Some(segment) => segments::stored(connection, schema, key, segment)?,
            None => now(status(&mut OnSync(connection), schema, key))?,
        };
        if held.is_none_or(|held| held.lease_owner.is_none()) {
            return Ok(false);
        }
        if begun.elapsed() > PATIENCE {
            let doing = format!("ending the lease on topic \"{}\"", key.topic);
            let problem = "a transaction of its holder is open; if it does not end, end its session \
                 (pg_terminate_backend)";
            return Err(Error::transient(doing, problem).of_consumer(key.consumer));
        }
        thread::sleep(Duration::from_millis(1));
    }
}

pub(super) fn acquire<C>(
    connection: &mut C,
    schema: &TableSchema,
    request: &LeaseRequest<'_>,
) -> Result<Lease, Error>
where
    C: LoadConnection<Backend = Pg> + 'static,
{
    let table = &schema.consumer_state;
    // Another process may take the lease first, and may release it again. That happens only a few
    // times in a row.
    for _ in 0..10 {
        if let Some(lease) = take_over(connection, schema, request)? {
            return Ok(lease);
        }
        if let Some(segment) = request.segment {
            let stored = segments::stored(connection, schema, request.key(), segment)?;
            match stored.map(|stored| stored.lease_owner.is_some()) {
                Some(true) => break,
                Some(false) => continue,
                None => return Err(no_segment(request, segment)),
            }
        }
        match now(status(&mut OnSync(connection), schema, request.key()))? {
            Some(held) if held.lease_owner.is_some() => break,
            Some(_) => {}
            None => {
                let inserted = |connection: &mut C| insert(connection, table, request);
                if let Some(lease) = connection.transaction(inserted)? {
                    return Ok(lease);
                }
            }
        }
    }
    Err(locked(connection, schema, request)?)
}

fn take_over<C>(
    connection: &mut C,
    schema: &TableSchema,
    request: &LeaseRequest<'_>,
) -> Result<Option<Lease>, Error>
where
    C: LoadConnection<Backend = Pg> + 'static,
{
    let table = schema.rows_of(request.segment);
    let values = [
        Text(request.owner),
        Text(request.owner),
        noted(request),
        Number(milliseconds(request.duration)),
        Text(request.row_name()),
        Text(request.topic),
        Text(request.row_name()),
        Text(request.topic),
        Text(request.owner),
    ];
    let sql = if request.hands_out || is_in_transaction(&mut OnSync(connection)) {
        Cow::Borrowed(TAKE)
    } else {
        Cow::Owned(format!("{TAKE}{WITHOUT_WAITING}"))
    };
    take(connection, request, Statement::new(sql, table, values))
}

/// Inserts the consumer with its lease, unless another process was faster.
fn insert<C>(
    connection: &mut C,
    table: &ConsumerStateTable,
    request: &LeaseRequest<'_>,
) -> Result<Option<Lease>, Error>
where
    C: LoadConnection<Backend = Pg> + 'static,
{
    lock(connection, table, request)?;
    let values = [
        Text(request.consumer),
        Text(request.topic),
        Text(request.owner),
        Number(milliseconds(request.duration)),
        OptionalText(request.identity.event_set),
        OptionalText(request.identity.source),
        noted(request),
        Text(request.consumer),
        Text(request.topic),
    ];
    take(connection, request, Statement::new(INSERT, table, values))
}

fn lock<C>(
    connection: &mut C,
    table: &ConsumerStateTable,
    request: &LeaseRequest<'_>,
) -> Result<(), Error>
where
    C: LoadConnection<Backend = Pg> + 'static,
{
    let key = [request.consumer, request.topic].map(|name| i64::from(hash_of(name)));
    let key = [Number(key[0] << 32 | key[1])];
    let locked = first_row(
        connection,
        Statement::new(LOCK, table, key),
        |[isolation, _]| Ok(isolation.text("transaction_isolation")?.to_owned()),
    );
    match locked.map_err(|cause| taking_failed(request, cause))? {
        Some(isolation) if !isolation.starts_with("read") => Err(Error::permanent(
            "taking the lease of a new consumer",
            "a transaction in this isolation level does not see concurrent inserts: consume in \
             sessions whose transactions are READ COMMITTED",
        )
        .of_consumer(request.consumer)),
        _ => Ok(()),
    }
}
