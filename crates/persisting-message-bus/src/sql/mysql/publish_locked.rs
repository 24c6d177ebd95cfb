//! Publishing in a transaction that holds the slots of its topics.

use std::collections::BTreeSet;

use diesel::mysql::Mysql;

use crate::error::Error;
use crate::sql::executor::Executor;
use crate::sql::mysql::publish_errors::not_persisted;
use crate::sql::mysql::publish_many::{Batch, insert};
use crate::sql::mysql::slots;
use crate::sql::row_writer::PlainTopic;
use crate::sql::schema::TableSchema;

/// Persists messages in a transaction.
pub(super) async fn write<E>(
    executor: &mut E,
    schema: &TableSchema,
    batch: Batch<'_>,
) -> Result<usize, Error>
where
    E: Executor<Backend = Mysql>,
{
    let topics = batch.messages.iter().map(|message| &*message.topic);
    for topic in topics.collect::<BTreeSet<_>>() {
        slots::lock(executor, &schema.publisher_slots, topic).await?;
    }
    match insert::<PlainTopic, E>(executor, schema, batch).await {
        Ok(inserted) => Ok(inserted),
        Err(cause) => Err(not_persisted(executor, &schema.messages, cause, batch.messages).await),
    }
}
