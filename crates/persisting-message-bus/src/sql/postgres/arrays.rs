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

/// The sizes of the numbers above, and of the length before each element.
const HEADER: usize = 5 * PREFIX;
const PREFIX: usize = size_of::<i32>();

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

impl<T: AsRef<[u8]>> Values<'_, T> {
    /// Returns the size of the array, in bytes.
    fn size(&self) -> usize {
        let values = self.messages.iter().map(self.value);
        let elements = values.map(|value| PREFIX + value.as_ref().len());
        HEADER + elements.sum::<usize>()
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
        // Diesel's own buffer grows and moves again and again, so the array is handed over as a whole.
        let mut array = Vec::with_capacity(self.size());
        array.extend_from_slice(&DIMENSIONS.to_be_bytes());
        array.extend_from_slice(&WITHOUT_NULLS.to_be_bytes());
        array.extend_from_slice(&element.to_be_bytes());
        array.extend_from_slice(&length.to_be_bytes());
        array.extend_from_slice(&FIRST_INDEX.to_be_bytes());
        for message in self.messages {
            let value = (self.value)(message);
            let bytes = value.as_ref();
            array.extend_from_slice(&i32::try_from(bytes.len())?.to_be_bytes());
            array.extend_from_slice(bytes);
        }
        out.write_all(&array)?;
        Ok(IsNull::No)
    }
}

impl<T> Debug for Values<'_, T> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} values", self.messages.len())
    }
}
