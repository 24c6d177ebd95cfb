//! What operators do with failed messages: they count, redrive and discard them.

use diesel::connection::LoadConnection;
use diesel::result::QueryResult;

use crate::error::Error;
use crate::position::Position;
use crate::sql::dialect::Value::{Number, Text};
use crate::sql::dialect::{Dialect, Statement, Value};
use crate::sql::rows::{ReadValue, first_row};
use crate::sql::schema::FailureTable;
use crate::sql::statements::consumers::failed;
use crate::sql::statements::counting;
use crate::store::failures::{FailureState, ParkedSelector};
use crate::store::key::ConsumerKey;

pub(in crate::sql) fn redrive<C>(
    connection: &mut C,
    table: &FailureTable,
    key: ConsumerKey<'_>,
    which: ParkedSelector<'_>,
) -> Result<u64, Error>
where
    C: LoadConnection + 'static,
    C::Backend: Dialect + ReadValue,
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
    C: LoadConnection + 'static,
    C::Backend: Dialect + ReadValue,
{
    const DISCARD: &str = "DELETE FROM {table}";
    on_parked(connection, table, DISCARD, [key.consumer, key.topic], which)
        .map_err(|cause| failed(key, "discarding parked messages", cause))
}

/// Counts a consumer's failed messages in a state.
pub(in crate::sql) fn count_failed<C>(
    connection: &mut C,
    table: &FailureTable,
    key: ConsumerKey<'_>,
    state: FailureState,
) -> Result<u64, Error>
where
    C: LoadConnection + 'static,
    C::Backend: Dialect + ReadValue,
{
    const COUNT: &str = "SELECT count(*), max(batch.position) FROM (
        SELECT {position} AS position FROM {table}
        WHERE {consumer} = ? AND {topic} = ? AND {state} = ? AND {position} > ?
        ORDER BY {position} LIMIT {limit}) AS batch";
    let values = [key.consumer, key.topic, state.as_str()].map(Text);
    counting::count(connection, table, COUNT, &values, BEFORE_ALL)
        .map_err(|cause| failed(key, "counting failed messages", cause))
}

/// A position before that of every failed message.
const BEFORE_ALL: Position = Position::new(i64::MIN);

/// The number of messages that one statement changes.
const BATCH: usize = 1_000;

/// Changes the parked messages that `which` selects, in batches, and returns their number. Outside
/// of a transaction, each batch is committed by itself.
fn on_parked<C>(
    connection: &mut C,
    table: &FailureTable,
    change: &str,
    consumer_and_topic: [&str; 2],
    which: ParkedSelector<'_>,
) -> QueryResult<u64>
where
    C: LoadConnection + 'static,
    C::Backend: Dialect + ReadValue,
{
    let (condition, value) = match which {
        ParkedSelector::All => ("", None),
        ParkedSelector::OfType(name) => ("AND {message_type} = {text}", Some(Text(name))),
        ParkedSelector::At(position) => ("AND {position} = ?", Some(Number(position.get()))),
    };
    let parked = format!(
        "{{consumer}} = ? AND {{topic}} = ? AND {{state}} = 'parked' {condition} AND {{position}} > ?"
    );
    let last_sql = format!(
        "SELECT max(batch.position) FROM (
            SELECT {{position}} AS position FROM {{table}} WHERE {parked}
            ORDER BY {{position}} LIMIT {{limit}}) AS batch"
    );
    let change_sql = format!("{change} WHERE {parked} AND {{position}} <= ?");
    let (mut all, mut after) = (0, BEFORE_ALL.get());
    loop {
        let values = || {
            consumer_and_topic
                .map(Text)
                .into_iter()
                .chain(value)
                .chain([Number(after)])
        };
        let batch = values().chain([Value::limit(BATCH)]);
        let last = Statement::new(last_sql.clone(), table, batch);
        let last = first_row(connection, last, |[last]| last.optional_integer("position"))?;
        let Some(last) = last.flatten() else {
            return Ok(all);
        };
        let values = values().chain([Number(last)]);
        let change = Statement::new(change_sql.clone(), table, values);
        all += connection.execute_returning_count(&change)? as u64;
        after = last;
    }
}
