//! Very many messages: the server stores their rows while the next ones are on their way.

use std::io::{BufWriter, Error as IoError, Write};

use diesel::connection::LoadConnection;
use diesel::pg::{CopyFormat, Pg};
use diesel::prelude::*;
use diesel::result::{Error as DieselError, QueryResult};

use super::copied_rows::write_rows;
use super::insert::take_fence;
use crate::RawMessage;
use crate::diesel::MessageTable;
use crate::diesel::plain::plain;

/// What a smaller batch would save is less than the statements around it cost.
const FEWEST_ROWS: usize = 4_000;

/// How much is sent in one piece. Each is a message of the protocol, which costs the server as much as a few
/// columns.
const PIECE: usize = 64 * 1024;

diesel::table! {
    public_messages (id) {
        id -> BigInt,
        message_id -> Uuid,
        topic -> Text,
        message_type -> Text,
        message_version -> Integer,
        correlation_id -> Nullable<Text>,
        // Rows are written elsewhere: the types do not matter.
        payload -> Text,
        headers -> Text,
        published_at -> Timestamptz,
    }
}

/// Inserts messages into the default table with COPY, behind the fence; all of them or none. Returns nothing
/// where there are too few of them, or the connection is none that Diesel can do that with.
///
/// The fence is a statement of its own. `TRUNCATE ... RESTART IDENTITY` cannot come between it and the rows,
/// whose positions would then be lower than what the fence says: it asks for the sequence for itself alone,
/// and `pg_sequence_last_value` has locked it (ROW EXCLUSIVE) until the transaction ends.
pub(super) fn messages<C>(
    connection: &mut C,
    table: &MessageTable,
    messages: &[RawMessage],
) -> Option<QueryResult<usize>>
where
    C: LoadConnection<Backend = Pg> + 'static,
{
    if messages.len() < FEWEST_ROWS {
        return None;
    }
    let connection = plain::<PgConnection, C>(connection)?;
    Some(connection.transaction(|connection| {
        connection.execute_returning_count(&take_fence(table, messages))?;
        copy(connection, messages)
    }))
}

fn copy(connection: &mut PgConnection, messages: &[RawMessage]) -> QueryResult<usize> {
    use self::public_messages as table;

    let columns = (
        table::message_id,
        table::topic,
        table::message_type,
        table::message_version,
        table::correlation_id,
        table::payload,
        table::headers,
        table::published_at,
    );
    diesel::copy_from(table::table)
        .from_raw_data(columns, |copy: &mut dyn Write| {
            let mut copy = BufWriter::with_capacity(PIECE, copy);
            write_rows(messages, &mut copy).map_err(failed)?;
            copy.flush().map_err(failed)
        })
        .with_format(CopyFormat::Binary)
        .execute(connection)
}

/// What the server or the connection says, if it was that.
fn failed(cause: IoError) -> DieselError {
    let cause = cause.downcast::<DieselError>();
    cause.unwrap_or_else(|cause| DieselError::SerializationError(Box::new(cause)))
}
