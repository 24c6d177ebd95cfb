//! What operators do with parked messages.

use diesel::connection::LoadConnection;
use diesel::result::QueryResult;

use crate::error::Error;
use crate::sql::dialect::Value::{Number, Text};
use crate::sql::dialect::{Dialect, Statement};
use crate::sql::schema::FailureTable;
use crate::sql::statements::consumers::failed;
use crate::store::failures::ParkedSelector;
use crate::store::key::ConsumerKey;

pub(in crate::sql) fn redrive<C>(
    connection: &mut C,
    table: &FailureTable,
    key: ConsumerKey<'_>,
    which: ParkedSelector<'_>,
) -> Result<u64, Error>
where
    C: LoadConnection,
    C::Backend: Dialect,
{
    const REDRIVE: &str = "UPDATE {table} SET {state} = 'redriven'";
    on_parked(connection, table, REDRIVE, [key.consumer, key.topic], which)
        .map_err(|cause| failed(key, "redriving parked messages", cause))
}

pub(in crate::sql) fn discard<C>(
    connection: &mut C,
    table: &FailureTable,
    key: ConsumerKey<'_>,
    which: ParkedSelector<'_>,
) -> Result<u64, Error>
where
    C: LoadConnection,
    C::Backend: Dialect,
{
    const DISCARD: &str = "DELETE FROM {table}";
    on_parked(connection, table, DISCARD, [key.consumer, key.topic], which)
        .map_err(|cause| failed(key, "discarding parked messages", cause))
}

/// Changes the parked messages that `which` selects, and returns their number.
fn on_parked<C>(
    connection: &mut C,
    table: &FailureTable,
    change: &str,
    consumer_and_topic: [&str; 2],
    which: ParkedSelector<'_>,
) -> QueryResult<u64>
where
    C: LoadConnection,
    C::Backend: Dialect,
{
    let (condition, value) = match which {
        ParkedSelector::All => ("", None),
        ParkedSelector::OfType(name) => ("AND {message_type} = {text}", Some(Text(name))),
        ParkedSelector::At(position) => ("AND {position} = ?", Some(Number(position.get()))),
    };
    let sql = format!(
        "{change} WHERE {{consumer}} = ? AND {{topic}} = ? AND {{state}} = 'parked' {condition}"
    );
    let values = consumer_and_topic.map(Text).into_iter().chain(value);
    let changed = connection.execute_returning_count(&Statement::new(sql, table, values))?;
    Ok(changed as u64)
}
