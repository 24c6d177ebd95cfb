use std::collections::BTreeSet;

use diesel::connection::LoadConnection;
use diesel::mysql::Mysql;
use diesel::query_builder::AstPass;
use diesel::result::{Error as DieselError, QueryResult};

use super::insert::{Batch, insert, insert_all_or_none};
use super::packet::most_bytes;
use super::parts::fit_into_one;
use super::{single, slots};
use crate::diesel::duplicates::named_duplicate;
use crate::diesel::error::failed_while;
use crate::diesel::oversized;
use crate::diesel::rows::first_row;
use crate::diesel::statement::Value::Text;
use crate::diesel::statement::{self, Dialect, Statement, Value};
use crate::diesel::transactions::{in_own_transaction, is_in_transaction};
use crate::diesel::{MessageTable, StoreBackend, TableSchema};
use crate::{Duplicates, Error, Position, RawMessage};

/// Times are in UTC: Diesel sets the time zone of each session.
///
/// A text that a table of another maker compares without regard to case is looked up by its index
/// first, and then compared letter by letter.
impl Dialect for Mysql {
    const NOW: &'static str = "utc_timestamp(6)";
    const AHEAD: &'static str = "utc_timestamp(6) + INTERVAL (? * 1000) MICROSECOND";
    const TEXT: &'static str = "? COLLATE utf8mb4_bin";
    const OR_NOTHING: &'static str = "";
    const MESSAGES: &'static str = "{table} FORCE INDEX ({topic_index})";
    const OF_TOPIC: &'static str = "{topic} = ? AND {topic} = ? COLLATE utf8mb4_bin";

    fn bind<'b>(value: &'b Value<'_>, out: &mut AstPass<'_, 'b, Self>) -> QueryResult<()> {
        statement::bind(value, out)
    }
}

/// The next position is known to the table's status, also if the last rows were pruned. MySQL may
/// remember an older one for a day: then the last row tells.
pub(super) fn last_position<C>(connection: &mut C, table: &MessageTable) -> Result<Position, Error>
where
    C: LoadConnection<Backend = Mysql>,
{
    let sql = "SELECT greatest(
            coalesce((SELECT max({id}) FROM {table}), 0),
            coalesce((SELECT auto_increment - 1 FROM information_schema.tables
                WHERE table_schema = database() AND table_name = ?), 0)
        )";
    let statement = Statement::new(sql, table, [Text(&table.table)]);
    let last = first_row(connection, statement, |[last]| last.integer("position"));
    last.map(|last| Position::new(last.unwrap_or(0)))
        .map_err(|cause| {
            let doing = format!("reading the last position of table \"{}\"", table.table);
            failed_while(doing, cause)
        })
}

pub(super) fn persist<C>(
    connection: &mut C,
    schema: &TableSchema,
    messages: &[RawMessage],
    duplicates: Duplicates,
) -> Result<usize, Error>
where
    C: LoadConnection<Backend = Mysql>,
    Mysql: StoreBackend<C>,
{
    let batch = Batch {
        messages,
        duplicates,
        most_bytes: most_bytes(connection, schema, messages)?,
    };
    if is_in_transaction(connection) {
        return write(connection, schema, batch, insert_all_or_none);
    }
    if can_be_written_at_once(batch)
        && let Some(persisted) = write_at_once(connection, schema, messages, duplicates)
    {
        return persisted;
    }
    in_own_transaction(connection, |connection| {
        write(connection, schema, batch, insert)
    })
}

/// Of several messages, some may be duplicates, and others not: that takes more than one statement.
fn can_be_written_at_once(batch: Batch<'_>) -> bool {
    let same_topic = |pair: &[RawMessage]| matches!(pair, [one, other] if one.topic == other.topic);
    match batch.messages {
        [] => false,
        [_] => true,
        messages => {
            batch.duplicates == Duplicates::Fail
                && messages.windows(2).all(same_topic)
                && fit_into_one(messages, batch.most_bytes)
        }
    }
}

/// Persists messages in one statement, or returns nothing where that takes more of them, if only to
/// find out what is wrong.
fn write_at_once<C>(
    connection: &mut C,
    schema: &TableSchema,
    messages: &[RawMessage],
    duplicates: Duplicates,
) -> Option<Result<usize, Error>>
where
    C: LoadConnection<Backend = Mysql>,
{
    match single::insert(connection, schema, messages) {
        Ok(inserted) => Some(Ok(inserted)),
        Err(cause)
            if duplicates == Duplicates::Ignore && named_duplicate(&cause, messages).is_some() =>
        {
            Some(Ok(0))
        }
        Err(cause) if single::is_refused(&cause) => None,
        Err(cause) => Some(Err(not_persisted(cause, messages))),
    }
}

/// Persists messages in a transaction.
fn write<C>(
    connection: &mut C,
    schema: &TableSchema,
    batch: Batch<'_>,
    insert: fn(&mut C, &TableSchema, Batch<'_>) -> QueryResult<usize>,
) -> Result<usize, Error>
where
    C: LoadConnection<Backend = Mysql>,
{
    let topics = batch.messages.iter().map(|message| &*message.topic);
    for topic in topics.collect::<BTreeSet<_>>() {
        slots::lock(connection, &schema.publisher_slots, topic)?;
    }
    let inserted = insert(connection, schema, batch);
    inserted.map_err(|cause| not_persisted(cause, batch.messages))
}

fn not_persisted(cause: DieselError, messages: &[RawMessage]) -> Error {
    if let Some(duplicate) = named_duplicate(&cause, messages) {
        return Error::duplicate_message(duplicate);
    }
    let topic = messages.first().map_or("", |message| &message.topic);
    let count = messages.len();
    let doing = format!("persisting {count} messages of topic \"{topic}\"");
    oversized::not_persisted(doing, cause, messages)
}
