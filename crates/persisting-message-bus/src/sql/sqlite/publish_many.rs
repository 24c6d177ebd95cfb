use diesel::Connection;
use diesel::connection::LoadConnection;
use diesel::sqlite::Sqlite;

use crate::error::Error;
use crate::message::raw::RawMessage;
use crate::sql::backend::StoreBackend;
use crate::sql::chunks::{MAX_BYTES, Most, in_chunks};
use crate::sql::error::failed_while;
use crate::sql::publish_errors::persisting;
use crate::sql::schema::{MessageTable, TableSchema};
use crate::sql::sqlite::publish_errors::{Refused, not_persisted};
use crate::sql::sqlite::row_writer::insert_messages;
use crate::sql::statements::duplicates::is_stored;
use crate::sql::transactions::{in_own_transaction, is_in_transaction};
use crate::store::repository::OnDuplicate;

/// The maximum size of a statement. More rows do not make a statement faster, and SQLite accepts at
/// most 32,766 values.
const MAX_CHUNK: Most = Most {
    rows: 512,
    bytes: MAX_BYTES,
};

/// Inserts the messages, all of them or none.
pub(super) fn insert<C>(
    connection: &mut C,
    schema: &TableSchema,
    messages: &[RawMessage],
    duplicates: OnDuplicate,
) -> Result<usize, Error>
where
    C: LoadConnection<Backend = Sqlite>,
    Sqlite: StoreBackend<C>,
{
    let can_wait = !is_in_transaction(connection);
    let insert = |connection: &mut C| {
        let table = &schema.messages;
        let inserted = insert_all(connection, schema, messages, duplicates);
        let inserted = inserted
            .map_err(|refused| not_persisted(connection, table, refused, messages, can_wait))?;
        if inserted < messages.len() {
            check_that_none_was_dropped(connection, table, messages)?;
        }
        Ok(inserted)
    };
    match messages {
        // There is nothing to undo.
        [_] => insert(connection),
        _ => in_own_transaction(connection, insert),
    }
}

fn insert_all<C>(
    connection: &mut C,
    schema: &TableSchema,
    messages: &[RawMessage],
    duplicates: OnDuplicate,
) -> Result<usize, Refused>
where
    C: Connection<Backend = Sqlite>,
{
    let (mut passed, mut inserted) = (0, 0);
    for part in in_chunks(messages, MAX_CHUNK, power_of_two) {
        inserted += insert_messages(connection, schema, part, duplicates)
            .map_err(|cause| Refused { passed, cause })?;
        passed += part.len();
    }
    Ok(inserted)
}

/// Checks that each message is stored, now or from before. A trigger can drop a row with
/// `RAISE(IGNORE)`, which is no error.
fn check_that_none_was_dropped<C>(
    connection: &mut C,
    table: &MessageTable,
    messages: &[RawMessage],
) -> Result<(), Error>
where
    C: LoadConnection<Backend = Sqlite>,
{
    for message in messages {
        let stored = is_stored(connection, table, message, "");
        if !stored.map_err(|cause| failed_while(persisting(messages), cause))? {
            return Err(Error::dropped_by_database(message, ""));
        }
    }
    Ok(())
}

/// Returns the largest power of two up to a number: 512, 256, ... 1 rows need only ten statement
/// texts.
fn power_of_two(fitting: usize) -> usize {
    fitting.checked_ilog2().map_or(0, |exponent| 1 << exponent)
}
