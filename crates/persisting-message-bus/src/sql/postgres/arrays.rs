//! Arrays in the binary form of PostgreSQL, written from the messages at once. Diesel's own arrays would
//! copy each text once more.

use std::fmt::{self, Debug, Formatter};
use std::io::Write;

use diesel::pg::Pg;
use diesel::serialize::{IsNull, Output, Result, ToSql};
use diesel::sql_types::{Array, HasSqlType};

use crate::message::raw::RawMessage;

const DIMENSIONS: i32 = 1;
const WITHOUT_NULLS: i32 = 0;
const FIRST_INDEX: i32 = 1;

/// An array with the bytes of a value for each message.
pub(super) struct Values<'a, T> {
    messages: &'a [RawMessage],
    value: fn(&'a RawMessage) -> T,
}

impl<'a, T> Values<'a, T> {
    pub(super) fn new(messages: &'a [RawMessage], value: fn(&'a RawMessage) -> T) -> Self {
        Self { messages, value }
    }
}

impl<ST, T> ToSql<Array<ST>, Pg> for Values<'_, T>
where
    Pg: HasSqlType<ST>,
    T: AsRef<[u8]>,
{
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> Result {
        let element = Pg::metadata(out.metadata_lookup()).oid()?;
        let length = i32::try_from(self.messages.len())?;
        out.write_all(&DIMENSIONS.to_be_bytes())?;
        out.write_all(&WITHOUT_NULLS.to_be_bytes())?;
        out.write_all(&element.to_be_bytes())?;
        out.write_all(&length.to_be_bytes())?;
        out.write_all(&FIRST_INDEX.to_be_bytes())?;
        for message in self.messages {
            let value = (self.value)(message);
            let bytes = value.as_ref();
            out.write_all(&i32::try_from(bytes.len())?.to_be_bytes())?;
            out.write_all(bytes)?;
        }
        Ok(IsNull::No)
    }
}

impl<T> Debug for Values<'_, T> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} values", self.messages.len())
    }
}
