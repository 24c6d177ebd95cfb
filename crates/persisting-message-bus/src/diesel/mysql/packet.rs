//! How large a statement may be.
//!
//! A server reads nothing that is larger than its `max_allowed_packet`, and ends the connection. A client that is
//! still sending finds that the server "has gone away", which is what it finds after a crash, too: so it has to
//! be known before.

use diesel::connection::LoadConnection;
use diesel::mysql::Mysql;
use diesel::result::Error::NotFound;
use diesel::result::QueryResult;

use crate::diesel::TableSchema;
use crate::diesel::error::failed_while;
use crate::diesel::parts::{MOST_BYTES, bytes_of};
use crate::diesel::rows::first_row;
use crate::diesel::statement::Statement;
use crate::{Error, RawMessage};

/// Up to here, nobody asks: servers take 16 MiB, and before 2013 took one.
const UNASKED: usize = 1024 * 1024;

/// What a statement has besides its rows, at most: two more topics.
const AROUND_ROWS: usize = 2_200;

/// How many bytes the rows of a statement may have, or which message is larger.
pub(super) fn most_bytes<C>(
    connection: &mut C,
    schema: &TableSchema,
    messages: &[RawMessage],
) -> Result<usize, Error>
where
    C: LoadConnection<Backend = Mysql>,
{
    let bytes: usize = messages.iter().map(bytes_of).sum();
    if bytes + AROUND_ROWS <= UNASKED {
        return Ok(MOST_BYTES);
    }
    let most = max_allowed_packet(connection, schema)
        .map_err(|cause| failed_while("asking how large a statement may be", cause))?;
    let of_rows = most.saturating_sub(AROUND_ROWS);
    match messages.iter().find(|message| bytes_of(message) > of_rows) {
        Some(message) => Err(too_large(message, most)),
        None => Ok(of_rows.min(MOST_BYTES)),
    }
}

fn too_large(message: &RawMessage, most: usize) -> Error {
    let problem = format!(
        "in a statement, it is larger than the {most} bytes that the server's max_allowed_packet lets \
         through; raise that on the server, for connections that are made from then on, or publish where \
         to find what is so large"
    );
    Error::too_large(message, problem, None)
}

fn max_allowed_packet<C>(connection: &mut C, schema: &TableSchema) -> QueryResult<usize>
where
    C: LoadConnection<Backend = Mysql>,
{
    let sql = "SELECT CAST(@@max_allowed_packet AS SIGNED)";
    let statement = Statement::new(sql, &schema.messages, []);
    let bytes = first_row(connection, statement, |[bytes]| {
        bytes.integer("max_allowed_packet")
    });
    let bytes = bytes?.ok_or(NotFound)?;
    Ok(usize::try_from(bytes).unwrap_or(usize::MAX))
}
