use diesel::mysql::Mysql;
use diesel::query_builder::AstPass;
use diesel::result::QueryResult;

use crate::sql::dialect::{self, Dialect, Value};

/// Times are in UTC, because Diesel sets the time zone of each session.
///
/// A table that this library did not create may compare texts regardless of case. A text is looked
/// up there by its index first, and then compared letter by letter.
impl Dialect for Mysql {
    const NOW: &'static str = "utc_timestamp(6)";
    const NOW_PLUS_MILLIS: &'static str = "utc_timestamp(6) + INTERVAL (? * 1000) MICROSECOND";
    const TEXT: &'static str = "? COLLATE utf8mb4_bin";
    const OR_NOTHING: &'static str = "";
    const MESSAGES: &'static str = "{table} FORCE INDEX ({topic_index})";
    const OF_TOPIC: &'static str = "{topic} = ? AND {topic} = ? COLLATE utf8mb4_bin";
    /// A subquery cannot have a limit here, and a DELETE can.
    const OLDEST_RECEIVED: &'static str = "
        {consumer} = ? AND {source} = ? AND {received_at} <= {now_plus_millis}
        ORDER BY {received_at} LIMIT {limit}";
    /// A deadlock or a timeout can come after the columns and before the first row. Diesel 2.3 and
    /// MariaDB's client 3.3 then leave the statement in a state in which its next execution waits
    /// for rows without end, before it sends anything.
    const FAILED_LOADS_BREAK_STATEMENTS: bool = true;

    const COLUMNS: &'static str = "SELECT column_name FROM information_schema.columns
        WHERE table_schema = database() AND table_name = ?";
    const PLACE: &'static str = "SELECT concat(
        coalesce(concat('the database \"', database(), '\"'), 'the session, which selects no database'),
        ', as user ', current_user(), ', or the user has no right to it')";
    const HAS_SLOTS: bool = true;

    fn bind<'b>(value: &'b Value<'_>, out: &mut AstPass<'_, 'b, Self>) -> QueryResult<()> {
        dialect::bind(value, out)
    }
}
