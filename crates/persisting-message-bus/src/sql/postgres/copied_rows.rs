//! Writes rows in the binary form of COPY, which PostgreSQL's documentation of that command
//! describes.

use std::io::{Error, Result, Write};

use crate::message::raw::RawMessage;
use crate::sql::postgres::binary_time::binary_time;

const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";
const NO_FLAGS: i32 = 0;
const NO_EXTENSION: i32 = 0;
const COLUMNS: i16 = 9;
const NULL: i32 = -1;
const END: i16 = -1;

/// Writes the messages: id, topic, type, version, correlation id, key slot, payload, headers, time.
pub(super) fn write_rows(messages: &[RawMessage], out: &mut impl Write) -> Result<()> {
    out.write_all(SIGNATURE)?;
    out.write_all(&NO_FLAGS.to_be_bytes())?;
    out.write_all(&NO_EXTENSION.to_be_bytes())?;
    for message in messages {
        write_row(message, out)?;
    }
    out.write_all(&END.to_be_bytes())
}

fn write_row(message: &RawMessage, out: &mut impl Write) -> Result<()> {
    let version = i32::try_from(message.message_version).map_err(Error::other)?;
    out.write_all(&COLUMNS.to_be_bytes())?;
    write_value(message.message_id.as_bytes(), out)?;
    write_value(message.topic.as_bytes(), out)?;
    write_value(message.message_type.as_bytes(), out)?;
    write_value(&version.to_be_bytes(), out)?;
    match &message.correlation_id {
        Some(flow) => write_value(flow.as_bytes(), out)?,
        None => out.write_all(&NULL.to_be_bytes())?,
    }
    write_value(&message.key_slot.get().to_be_bytes(), out)?;
    write_value(message.payload.as_bytes(), out)?;
    write_value(message.headers.as_bytes(), out)?;
    write_value(&binary_time(message.published_at), out)
}

fn write_value(value: &[u8], out: &mut impl Write) -> Result<()> {
    let length = i32::try_from(value.len()).map_err(Error::other)?;
    out.write_all(&length.to_be_bytes())?;
    out.write_all(value)
}
