//! Reads PostgreSQL's values in their binary form, by the types that they have.

use std::num::NonZeroU32;
use std::str;

use chrono::{DateTime, Utc};
use diesel::deserialize::FromSql;
use diesel::pg::{Pg, PgValue};
use diesel::sql_types::{BigInt, Integer, SmallInt, Timestamptz};
use uuid::Uuid;

use crate::sql::rows::{BrokenColumn, ReadValue};

// The oids of the server's types, as in `pg_type.dat` of its sources.
const INT8: u32 = 20;
const INT2: u32 = 21;
const INT4: u32 = 23;
const TEXT: u32 = 25;
const JSON: u32 = 114;
const BPCHAR: u32 = 1042;
const VARCHAR: u32 = 1043;
const TIMESTAMP: u32 = 1114;
const TIMESTAMPTZ: u32 = 1184;
const UUID: u32 = 2950;
const JSONB: u32 = 3802;

impl ReadValue for Pg {
    fn integer(value: &mut PgValue<'_>, column: &'static str) -> Result<i64, BrokenColumn> {
        let value = *value;
        let number = match type_of(value) {
            INT8 => FromSql::<BigInt, Pg>::from_sql(value),
            INT4 => <i32 as FromSql<Integer, Pg>>::from_sql(value).map(i64::from),
            INT2 => <i16 as FromSql<SmallInt, Pg>>::from_sql(value).map(i64::from),
            _ => return Err(of_another_type(value, column, "an integer")),
        };
        number.map_err(|cause| BrokenColumn::new(column, "an integer", cause))
    }

    fn text<'v>(value: &'v mut PgValue<'_>, column: &'static str) -> Result<&'v str, BrokenColumn> {
        let bytes = match type_of(*value) {
            TEXT | VARCHAR | BPCHAR | JSON => value.as_bytes(),
            // The text follows the version of its format.
            JSONB => value.as_bytes().get(1..).unwrap_or_default(),
            _ => return Err(of_another_type(*value, column, "a text")),
        };
        str::from_utf8(bytes).map_err(|cause| BrokenColumn::new(column, "UTF-8", cause))
    }

    fn uuid(value: &mut PgValue<'_>, column: &'static str) -> Result<Uuid, BrokenColumn> {
        match type_of(*value) {
            UUID => Uuid::from_slice(value.as_bytes()),
            _ => Uuid::try_parse(Self::text(value, column)?),
        }
        .map_err(|cause| BrokenColumn::new(column, "a UUID", cause))
    }

    /// Reads a time. A time that has no time zone is taken as UTC.
    fn time(value: &mut PgValue<'_>, column: &'static str) -> Result<DateTime<Utc>, BrokenColumn> {
        match type_of(*value) {
            TIMESTAMPTZ | TIMESTAMP => FromSql::<Timestamptz, Pg>::from_sql(*value)
                .map_err(|cause| BrokenColumn::new(column, "a time", cause)),
            _ => Err(of_another_type(*value, column, "a time")),
        }
    }
}

fn type_of(value: PgValue<'_>) -> u32 {
    NonZeroU32::get(value.get_oid())
}

fn of_another_type(
    value: PgValue<'_>,
    column: &'static str,
    expected: &'static str,
) -> BrokenColumn {
    let found = format_args!("a value of the type with the oid {}", type_of(value));
    BrokenColumn::new(column, expected, found)
}
