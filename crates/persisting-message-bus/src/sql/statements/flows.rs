//! The statements that read the messages of a flow, in the form that every database understands.

use diesel::connection::LoadConnection;
use diesel::result::{Error as DieselError, QueryResult};
use uuid::Uuid;

use crate::error::Error;
use crate::message::stored_headers::causation_id;
use crate::position::Position;
use crate::sql::dialect::Value::Text;
use crate::sql::dialect::{Dialect, Statement, Value};
use crate::sql::error::failed_while;
use crate::sql::prepared::loaded;
use crate::sql::rows::{BrokenColumn, Column, ReadValue, with_columns};
use crate::sql::schema::MessageTable;
use crate::store::source::FlowMessage;

pub(in crate::sql) fn messages<C>(
    connection: &mut C,
    table: &MessageTable,
    correlation_id: &str,
    limit: usize,
) -> Result<Vec<FlowMessage>, Error>
where
    C: LoadConnection + 'static,
    C::Backend: Dialect + ReadValue,
{
    let doing = || format!("reading the flow \"{correlation_id}\"");
    if table.correlation_id.is_none() {
        let problem = "the table has no column for flows";
        return Err(Error::permanent(doing(), problem));
    }
    let named = "{correlation_id} = {text}";
    let mut flow = read(connection, table, named, correlation_id, limit)
        .map_err(|cause| failed_while(doing(), cause))?;
    if let Ok(id) = Uuid::try_parse(correlation_id) {
        let started_by = "{message_id} = {uuid}";
        let started = read(connection, table, started_by, &id.to_string(), 1)
            .map_err(|cause| failed_while(doing(), cause))?;
        let is_known = flow.iter().any(|message| message.message_id == id);
        flow.extend(started.into_iter().filter(|_| !is_known));
    }
    Ok(flow)
}

/// Reads the messages that match a condition. Each condition has an index, and not every database
/// uses two indexes in one statement.
fn read<C>(
    connection: &mut C,
    table: &MessageTable,
    condition: &str,
    id: &str,
    limit: usize,
) -> QueryResult<Vec<FlowMessage>>
where
    C: LoadConnection + 'static,
    C::Backend: Dialect + ReadValue,
{
    let sql = format!(
        "SELECT {{id}}, {{topic}}, {{message_type}}, {{message_id}}, {{headers}}, \
         {{published_at}} FROM {{table}} WHERE {condition} ORDER BY {{id}} LIMIT {{limit}}"
    );
    let values = [Text(id), Value::limit(limit)];
    let read = |connection: &mut C| {
        let rows = connection.load(Statement::new(sql, table, values))?;
        let messages = rows.map(|row| {
            with_columns(&row?, flow_message)
                .map_err(|broken| DieselError::DeserializationError(Box::new(broken)))
        });
        messages.collect()
    };
    let messages = read(connection);
    loaded(connection, messages)
}

fn flow_message<DB: ReadValue>(
    [id, topic, message_type, message_id, headers, published_at]: &mut [Column<'_, DB>; 6],
) -> Result<FlowMessage, BrokenColumn> {
    Ok(FlowMessage {
        position: id.integer("id").map(Position::new)?,
        topic: topic.text("topic")?.to_owned(),
        message_type: message_type.text("message_type")?.to_owned(),
        message_id: message_id.uuid("message_id")?,
        causation_id: causation_id(headers.text("headers")?),
        published_at: published_at.time("published_at")?,
        depth: 0,
    })
}
