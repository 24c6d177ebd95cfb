//! Very many messages: the server stores their rows while the next ones are on their way.

use std::any::Any;

use diesel::connection::LoadConnection;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::result::QueryResult;
use uuid::Uuid;

use super::insert::take_fence;
use crate::RawMessage;
use crate::diesel::MessageTable;

/// What a smaller batch would save is less than the statements around it cost.
const FEWEST_ROWS: usize = 1_000;

diesel::table! {
    public_messages (id) {
        id -> BigInt,
        message_id -> Uuid,
        topic -> Text,
        message_type -> Text,
        message_version -> Integer,
        correlation_id -> Nullable<Text>,
        // JSON is sent as it is written.
        payload -> Text,
        headers -> Text,
        published_at -> Timestamptz,
    }
}

#[derive(Insertable)]
#[diesel(table_name = public_messages, treat_none_as_default_value = false)]
struct NewMessage<'a> {
    message_id: Uuid,
    topic: &'a str,
    message_type: &'a str,
    message_version: i32,
    correlation_id: Option<&'a str>,
    payload: &'a str,
    headers: &'a str,
    published_at: chrono::DateTime<chrono::Utc>,
}

/// Inserts messages into the default table with COPY, behind the fence; all of them or none. Returns nothing
/// where there are too few of them, or the connection is none that Diesel can do that with.
pub(super) fn messages<C>(
    connection: &mut C,
    table: &MessageTable,
    messages: &[RawMessage],
) -> Option<QueryResult<usize>>
where
    C: LoadConnection<Backend = Pg> + 'static,
{
    if messages.len() < FEWEST_ROWS || postgres(connection).is_none() {
        return None;
    }
    let rows: Option<Vec<_>> = messages.iter().map(NewMessage::of).collect();
    let rows = rows?;
    Some(connection.transaction(|connection| {
        connection.execute_returning_count(&take_fence(table, messages))?;
        let copied = postgres(connection).map(|connection| copy(connection, &rows));
        copied.unwrap_or(Ok(0))
    }))
}

fn copy(connection: &mut PgConnection, rows: &[NewMessage<'_>]) -> QueryResult<usize> {
    diesel::copy_from(public_messages::table)
        .from_insertable(rows)
        .execute(connection)
}

/// The connection itself, behind that of a pool.
fn postgres<C: 'static>(connection: &mut C) -> Option<&mut PgConnection> {
    let connection: &mut dyn Any = connection;
    #[cfg(feature = "r2d2")]
    if connection.is::<Pooled>() {
        return connection
            .downcast_mut::<Pooled>()
            .map(|pooled| &mut **pooled);
    }
    connection.downcast_mut()
}

#[cfg(feature = "r2d2")]
type Pooled = diesel::r2d2::PooledConnection<diesel::r2d2::ConnectionManager<PgConnection>>;

impl<'a> NewMessage<'a> {
    fn of(message: &'a RawMessage) -> Option<Self> {
        Some(Self {
            message_id: message.message_id,
            topic: &message.topic,
            message_type: &message.message_type,
            message_version: i32::try_from(message.message_version).ok()?,
            correlation_id: message.correlation_id.as_deref(),
            payload: &message.payload,
            headers: &message.headers,
            published_at: message.published_at,
        })
    }
}
