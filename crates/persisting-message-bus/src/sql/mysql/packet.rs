//! The maximum size of a statement.
//!
//! A server reads no statement that is larger than its `max_allowed_packet`, and ends the
//! connection. A client that is still sending finds that the server "has gone away", as after a
//! crash. So the limit must be known before.

use diesel::mysql::Mysql;
use diesel::result::Error::NotFound;
use diesel::result::QueryResult;

use crate::error::Error;
use crate::message::raw::RawMessage;
use crate::sql::chunks::{MAX_BYTES, bytes_of};
use crate::sql::dialect::Statement;
use crate::sql::error::failed_while;
use crate::sql::executor::Executor;
use crate::sql::schema::TableSchema;

/// Up to this size, the library does not ask for the limit: servers accept 16 MiB, and accepted 1
/// MiB before 2013.
const UNASKED: usize = 1024 * 1024;

/// The bytes that a statement has besides its rows, at most: two more topics.
const AROUND_ROWS: usize = 2_200;

/// Returns the number of bytes that the rows of a statement may have, or the error that names a
/// message that is larger.
pub(super) async fn most_bytes<E>(
    executor: &mut E,
    schema: &TableSchema,
    messages: &[RawMessage],
) -> Result<usize, Error>
where
    E: Executor<Backend = Mysql>,
{
    let bytes: usize = messages.iter().map(bytes_of).sum();
    if bytes + AROUND_ROWS <= UNASKED {
        return Ok(MAX_BYTES);
    }
    let most = max_allowed_packet(executor, schema).await;
    let most = most.map_err(|cause| failed_while("asking how large a statement may be", cause))?;
    let of_rows = most.saturating_sub(AROUND_ROWS);
    match messages.iter().find(|message| bytes_of(message) > of_rows) {
        Some(message) => Err(too_large(message, most)),
        None => Ok(of_rows.min(MAX_BYTES)),
    }
}

fn too_large(message: &RawMessage, most: usize) -> Error {
    let problem = format!(
        "in a statement, it is larger than the {most} bytes that the server's max_allowed_packet \
         allows; raise max_allowed_packet on the server, which affects new connections only, or \
         publish a reference to the large content"
    );
    Error::too_large(message, problem, None)
}

async fn max_allowed_packet<E>(executor: &mut E, schema: &TableSchema) -> QueryResult<usize>
where
    E: Executor<Backend = Mysql>,
{
    let sql = "SELECT CAST(@@max_allowed_packet AS SIGNED)";
    let statement = Statement::new(sql, &schema.messages, []);
    let bytes = executor.first_row(statement, |[bytes]| bytes.integer("max_allowed_packet"));
    let bytes = bytes.await?.ok_or(NotFound)?;
    Ok(usize::try_from(bytes).unwrap_or(usize::MAX))
}
