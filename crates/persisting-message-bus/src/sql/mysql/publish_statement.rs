//! The statement that publishes a message through any driver: a call of the procedure of
//! `publish_procedure.rs`.

use crate::error::Error;
use crate::message::raw::RawMessage;
use crate::message::time;
use crate::sql::mysql::database::quoted;
use crate::sql::publish_call::{arguments, publish_name};
use crate::sql::publish_statement::StatementValue;
use crate::sql::schema::TableSchema;

pub(in crate::sql) fn call(
    schema: &TableSchema,
    message: &RawMessage,
) -> Result<(String, Vec<StatementValue>), Error> {
    let procedure = quoted(&publish_name(schema));
    let sql = format!("CALL {procedure}(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    let recorded_at = time::storable(message.published_at).format("%Y-%m-%d %H:%M:%S%.6f");
    Ok((sql, arguments(message, recorded_at.to_string())?))
}
