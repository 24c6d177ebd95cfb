//! Messages in one statement instead of a transaction of four.

use diesel::connection::LoadConnection;
use diesel::mysql::Mysql;
use diesel::result::{DatabaseErrorKind, Error as DieselError, QueryResult};

use super::insert::row;
use super::slots::FREE_FROM_MINE;
use crate::RawMessage;
use crate::diesel::TableSchema;
use crate::diesel::insert::insert_computing;
use crate::diesel::statement::Names;

/// The slot of the connection: to find it takes no more than a look into the index.
pub(super) const MINE: &str = "{slot} = connection_id() % 64";

/// It or one behind it, where somebody else holds it.
pub(super) const FREE: &str = FREE_FROM_MINE;

/// What no column takes, in any mode: a number that is out of range.
const NOTHING: &str = "9223372036854775807 + 1";

/// Inserts messages of one topic in a transaction of their own, which is this statement, and fails where it
/// cannot: then nothing has been inserted, and a transaction with more statements may do it.
///
/// The topic of the first one is the value of a query that locks a slot. So there is no row that could be
/// given a position before the slot is locked: the others' come with the first one's, or later.
///
/// A replica that makes what statements say, one at a time or in an order of its own, would lock other
/// slots and might find none: there, only rows are to be logged.
pub(super) fn insert<C>(
    connection: &mut C,
    schema: &TableSchema,
    messages: &[RawMessage],
    place: &str,
) -> QueryResult<usize>
where
    C: LoadConnection<Backend = Mysql>,
{
    let names = MessagesAndSlots(schema);
    let topic = format!(
        "coalesce((SELECT ? FROM {{slots}} WHERE {{slot_topic}} = ? AND {place} \
         AND @@sql_mode LIKE '%STRICT%' AND @@autocommit \
         AND @@binlog_format <> 'STATEMENT' ORDER BY {{slot}} LIMIT 1 FOR UPDATE SKIP LOCKED), {NOTHING})"
    );
    let rows: Vec<_> = messages.iter().map(row).collect();
    let insert = insert_computing(&schema.messages, &names, &rows, &topic);
    connection.execute_returning_count(&insert)
}

/// Whether the statement has found no slot, or the server does not even understand it. After whatever else,
/// it may have been committed.
pub(super) fn is_refused(cause: &DieselError) -> bool {
    let DieselError::DatabaseError(DatabaseErrorKind::Unknown, information) = cause else {
        return false;
    };
    let message = information.message();
    let reasons = ["out of range", "SQL syntax", "Unknown system variable"];
    reasons.iter().any(|reason| message.contains(reason))
}

/// The names of a statement about two tables.
struct MessagesAndSlots<'a>(&'a TableSchema);

impl Names for MessagesAndSlots<'_> {
    fn name(&self, key: &str) -> Option<&str> {
        let slots = &self.0.publisher_slots;
        match key {
            "slots" => Some(&slots.table),
            "slot_topic" => Some(&slots.topic),
            "slot" => Some(&slots.slot),
            _ => self.0.messages.name(key),
        }
    }
}
