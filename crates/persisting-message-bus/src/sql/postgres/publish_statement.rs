//! The statement that publishes a message through any driver.
//!
//! It calls the function of `publish_function.rs`. The INSERT of `publish_one.rs` would be right in
//! every transaction too, but inserts nothing for a duplicate and into an unfit table. A caller that
//! does not look at the number of rows would lose the message. The function fails instead.

use chrono::{DateTime, Datelike, Utc};

use crate::error::Error;
use crate::message::raw::RawMessage;
use crate::message::time;
use crate::sql::postgres::quoting::quoted;
use crate::sql::publish_call::{arguments, publish_name};
use crate::sql::publish_statement::StatementValue;
use crate::sql::schema::TableSchema;

/// The casts tell a driver that all values are texts, except for one integer.
const ARGUMENTS: &str = "$1::text, $2::text, $3::bigint, $4::text, $5::text, $6::text::uuid, \
    $7::text::timestamptz, $8::text, $9::text::uuid, $10::text";

pub(in crate::sql) fn select(
    schema: &TableSchema,
    message: &RawMessage,
) -> Result<(String, Vec<StatementValue>), Error> {
    let function = quoted(&publish_name(schema));
    let sql = format!("SELECT {function}({ARGUMENTS})");
    Ok((sql, arguments(message, written(message.published_at))?))
}

/// Writes a time for PostgreSQL, which calls the year 0 the year 1 before Christ.
fn written(time: DateTime<Utc>) -> String {
    let time = time::storable(time);
    if time.year() == 0 {
        return time.format("0001-%m-%d %H:%M:%S%.6fZ BC").to_string();
    }
    time.format("%Y-%m-%d %H:%M:%S%.6fZ").to_string()
}
