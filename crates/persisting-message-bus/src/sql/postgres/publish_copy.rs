//! Inserts very many messages: the server stores their rows while the client sends the next ones.

use std::io::{BufWriter, Error as IoError, Write};

use diesel::pg::{CopyFormat, Pg};
use diesel::prelude::*;
use diesel::result::{Error as DieselError, QueryResult};

use crate::message::raw::RawMessage;
use crate::sql::executor::Executor;
use crate::sql::postgres::copied_rows::write_rows;
use crate::sql::postgres::unnested_rows::take_fence;
use crate::sql::schema::MessageTable;

/// The smallest batch that is copied. For a smaller one, the additional statements cost more than
/// the copy saves.
const MIN_ROWS: usize = 4_000;

/// The number of bytes that are sent in one piece. Each piece is a message of the protocol, which
/// costs the server as much as a few columns.
const PIECE: usize = 64 * 1024;

diesel::table! {
    public_messages (id) {
        id -> BigInt,
        message_id -> Uuid,
        topic -> Text,
        message_type -> Text,
        message_version -> Integer,
        correlation_id -> Nullable<Text>,
        key_slot -> SmallInt,
        // The types do not matter, because the rows are written elsewhere.
        payload -> Text,
        headers -> Text,
        published_at -> Timestamptz,
    }
}

/// Inserts messages into the default table with COPY, after the fence; all of them or none. Returns
/// `None` if there are too few messages, or if Diesel cannot copy on a connection of this type.
/// Rolls back if the table is unfit for COPY or has not stored all rows.
///
/// The fence is a statement of its own. `TRUNCATE ... RESTART IDENTITY` cannot run between it and
/// the rows, whose positions would then be lower than the fence announces. TRUNCATE needs an
/// exclusive lock on the sequence, and `pg_sequence_last_value` has locked the sequence (ROW
/// EXCLUSIVE) until the transaction ends.
pub(super) fn messages<E>(
    executor: &mut E,
    table: &MessageTable,
    messages: &[RawMessage],
) -> Option<QueryResult<usize>>
where
    E: Executor<Backend = Pg>,
{
    if messages.len() < MIN_ROWS {
        return None;
    }
    let connection = executor.plain::<PgConnection>()?;
    Some(connection.transaction(|connection| {
        let is_fit = connection.execute_returning_count(&take_fence(table, messages))? > 0;
        if is_fit && copy(connection, messages)? == messages.len() {
            return Ok(messages.len());
        }
        Err(DieselError::RollbackTransaction)
    }))
}

fn copy(connection: &mut PgConnection, messages: &[RawMessage]) -> QueryResult<usize> {
    use crate::sql::postgres::publish_copy::public_messages as table;

    let columns = (
        table::message_id,
        table::topic,
        table::message_type,
        table::message_version,
        table::correlation_id,
        table::key_slot,
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

/// Returns the error of the server or the connection, if the cause is one.
fn failed(cause: IoError) -> DieselError {
    let cause = cause.downcast::<DieselError>();
    cause.unwrap_or_else(|cause| DieselError::SerializationError(Box::new(cause)))
}
