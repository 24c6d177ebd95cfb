//! Publishing in a transaction that holds the slots of its topics.

use std::collections::BTreeSet;

use diesel::connection::LoadConnection;
use diesel::mysql::Mysql;
use diesel::result::QueryResult;

use crate::error::Error;
use crate::sql::mysql::publish_errors::not_persisted;
use crate::sql::mysql::publish_many::Batch;
use crate::sql::mysql::slots;
use crate::sql::schema::TableSchema;

/// Persists messages in a transaction.
pub(super) fn write<C>(
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
    inserted.map_err(|cause| not_persisted(connection, &schema.messages, cause, batch.messages))
}
