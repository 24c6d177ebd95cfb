use std::time::Duration;

use diesel::connection::LoadConnection;
use diesel::result::Error as DieselError;
use diesel::sqlite::Sqlite;

use super::rows::{first_row, integer, optional_integer, optional_text, time};
use crate::diesel::ConsumerStateTable;
use crate::diesel::error::failed_while;
use crate::diesel::statement::Part::{Name, Number, OptionalNumber, Sql, Text};
use crate::diesel::statement::{Part, Statement};
use crate::{ConsumerStatus, Error, Lease, LeaseRequest, Position, StoreCursor};

/// Milliseconds, in a form whose order as text is the order in time.
const NOW: Part<'static> = Sql("strftime('%Y-%m-%dT%H:%M:%fZ', 'now')");

pub(super) fn acquire<C>(
    connection: &mut C,
    table: &ConsumerStateTable,
    request: &LeaseRequest<'_>,
) -> Result<Lease, Error>
where
    C: LoadConnection<Backend = Sqlite>,
{
    let ahead = ahead(request.duration);
    let taken = first_row(
        connection,
        take(table, request, &ahead),
        |[cursor, epoch]| {
            Ok((
                optional_integer(cursor, "cursor")?.map(Position::new),
                integer(epoch, "lease_epoch")?,
            ))
        },
    );
    let failed = |cause| failed(request.consumer, request.topic, "taking the lease", cause);
    let Some((cursor, epoch)) = taken.map_err(failed)? else {
        return Err(locked(connection, table, request)?);
    };
    Ok(Lease {
        consumer: request.consumer.to_owned(),
        topic: request.topic.to_owned(),
        owner: request.owner.to_owned(),
        epoch,
        cursor,
    })
}

/// Inserts the consumer or takes its lease over; returns no row when another owner holds it.
fn take<'a>(
    table: &'a ConsumerStateTable,
    request: &'a LeaseRequest<'_>,
    ahead: &'a str,
) -> Statement<'a> {
    let owner = &table.lease_owner;
    let epoch = &table.lease_epoch;
    let expires_at = &table.lease_expires_at;
    let mut parts = vec![Sql("INSERT INTO "), Name(&table.table), Sql(" AS held (")];
    parts.extend([
        Name(&table.consumer),
        Sql(", "),
        Name(&table.topic),
        Sql(", "),
    ]);
    parts.extend([
        Name(owner),
        Sql(", "),
        Name(epoch),
        Sql(", "),
        Name(expires_at),
    ]);
    parts.extend([
        Sql(") VALUES ("),
        Text(request.consumer),
        Sql(", "),
        Text(request.topic),
    ]);
    parts.extend([Sql(", "), Text(request.owner), Sql(", 1, ")]);
    parts.extend(time_ahead(ahead));
    parts.extend([
        Sql(") ON CONFLICT ("),
        Name(&table.consumer),
        Sql(", "),
        Name(&table.topic),
    ]);
    parts.extend([
        Sql(") DO UPDATE SET "),
        Name(owner),
        Sql(" = excluded."),
        Name(owner),
    ]);
    parts.extend([
        Sql(", "),
        Name(epoch),
        Sql(" = held."),
        Name(epoch),
        Sql(" + 1, "),
    ]);
    parts.extend([Name(expires_at), Sql(" = excluded."), Name(expires_at)]);
    parts.extend([Sql(" WHERE held."), Name(owner), Sql(" IS NULL OR held.")]);
    parts.extend([
        Name(owner),
        Sql(" = excluded."),
        Name(owner),
        Sql(" OR held."),
    ]);
    parts.extend([Name(expires_at), Sql(" <= "), NOW]);
    parts.extend([
        Sql(" RETURNING "),
        Name(&table.cursor),
        Sql(", "),
        Name(epoch),
    ]);
    Statement::new(parts)
}

/// Who holds the lease that could not be taken.
fn locked<C>(
    connection: &mut C,
    table: &ConsumerStateTable,
    request: &LeaseRequest<'_>,
) -> Result<Error, Error>
where
    C: LoadConnection<Backend = Sqlite>,
{
    let holder = consumer_status(connection, table, request.consumer, request.topic)?;
    let (owner, expires_at) = holder
        .map(|status| (status.lease_owner, status.lease_expires_at))
        .unwrap_or_default();
    Ok(Error::locked(request, owner, expires_at))
}

pub(super) fn store_cursor<C>(
    connection: &mut C,
    table: &ConsumerStateTable,
    lease: &Lease,
    store: &StoreCursor,
) -> Result<(), Error>
where
    C: LoadConnection<Backend = Sqlite>,
{
    let ahead = store.hold.map(ahead);
    let cursor = OptionalNumber(store.cursor.map(Position::get));
    let mut set = vec![Name(&table.cursor), Sql(" = "), cursor, Sql(", ")];
    match &ahead {
        Some(ahead) => {
            set.extend([Name(&table.lease_expires_at), Sql(" = ")]);
            set.extend(time_ahead(ahead));
        }
        None => set.extend(no_holder(table)),
    }
    match update_held(connection, table, lease, set, "storing the cursor")? {
        true => Ok(()),
        false => Err(Error::lease_lost(lease)),
    }
}

pub(super) fn release<C>(
    connection: &mut C,
    table: &ConsumerStateTable,
    lease: &Lease,
) -> Result<(), Error>
where
    C: LoadConnection<Backend = Sqlite>,
{
    let set = no_holder(table);
    update_held(connection, table, lease, set, "giving the lease back").map(drop)
}

/// Updates the consumer's row if the lease is still held, and says whether it is.
fn update_held<'a, C>(
    connection: &mut C,
    table: &'a ConsumerStateTable,
    lease: &'a Lease,
    set: impl IntoIterator<Item = Part<'a>>,
    doing: &str,
) -> Result<bool, Error>
where
    C: LoadConnection<Backend = Sqlite>,
{
    let mut parts = vec![Sql("UPDATE "), Name(&table.table), Sql(" SET ")];
    parts.extend(set);
    parts.extend(of_consumer(table, &lease.consumer, &lease.topic));
    parts.extend([
        Sql(" AND "),
        Name(&table.lease_owner),
        Sql(" = "),
        Text(&lease.owner),
    ]);
    parts.extend([
        Sql(" AND "),
        Name(&table.lease_epoch),
        Sql(" = "),
        Number(lease.epoch),
    ]);
    match connection.execute_returning_count(&Statement::new(parts)) {
        Ok(updated) => Ok(updated == 1),
        Err(cause) => Err(failed(&lease.consumer, &lease.topic, doing, cause)),
    }
}

pub(super) fn consumer_status<C>(
    connection: &mut C,
    table: &ConsumerStateTable,
    consumer: &str,
    topic: &str,
) -> Result<Option<ConsumerStatus>, Error>
where
    C: LoadConnection<Backend = Sqlite>,
{
    let mut parts = vec![Sql("SELECT "), Name(&table.cursor)];
    for column in [
        &table.lease_owner,
        &table.lease_epoch,
        &table.lease_expires_at,
    ] {
        parts.extend([Sql(", "), Name(column)]);
    }
    parts.extend([Sql(" FROM "), Name(&table.table)]);
    parts.extend(of_consumer(table, consumer, topic));
    first_row(
        connection,
        Statement::new(parts),
        |[cursor, owner, epoch, expires_at]| {
            let expires_at = optional_text(expires_at, "lease_expires_at")?;
            Ok(ConsumerStatus {
                cursor: optional_integer(cursor, "cursor")?.map(Position::new),
                lease_owner: optional_text(owner, "lease_owner")?.map(str::to_owned),
                lease_epoch: integer(epoch, "lease_epoch")?,
                lease_expires_at: expires_at
                    .map(|text| time(text, "lease_expires_at"))
                    .transpose()?,
            })
        },
    )
    .map_err(|cause| failed(consumer, topic, "reading the consumer's state", cause))
}

fn of_consumer<'a>(
    table: &'a ConsumerStateTable,
    consumer: &'a str,
    topic: &'a str,
) -> [Part<'a>; 8] {
    let (consumer, topic) = (Text(consumer), Text(topic));
    let (is, and) = (Sql(" = "), Sql(" AND "));
    [
        Sql(" WHERE "),
        Name(&table.consumer),
        is,
        consumer,
        and,
        Name(&table.topic),
        is,
        topic,
    ]
}

fn no_holder(table: &ConsumerStateTable) -> [Part<'_>; 4] {
    let (owner, expires_at) = (Name(&table.lease_owner), Name(&table.lease_expires_at));
    [owner, Sql(" = NULL, "), expires_at, Sql(" = NULL")]
}

/// The time so far ahead by the clock of the database.
fn time_ahead(ahead: &str) -> [Part<'_>; 3] {
    [
        Sql("strftime('%Y-%m-%dT%H:%M:%fZ', 'now', "),
        Text(ahead),
        Sql(")"),
    ]
}

/// SQLite's modifier for a time ahead. Its calendar ends with the year 9999.
fn ahead(duration: Duration) -> String {
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
    let duration = duration.min(CENTURY);
    format!(
        "+{}.{:03} seconds",
        duration.as_secs(),
        duration.subsec_millis()
    )
}

fn failed(consumer: &str, topic: &str, doing: &str, cause: DieselError) -> Error {
    failed_while(format!("{doing} on topic \"{topic}\""), cause).of_consumer(consumer)
}
