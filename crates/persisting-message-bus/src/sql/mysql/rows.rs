//! Reads MySQL's values in their binary form, by the types that they have.

use std::str;

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::deserialize::{self, FromSql};
use diesel::mysql::{Mysql, MysqlType, MysqlValue};
use diesel::sql_types::{BigInt, Datetime, Integer, SmallInt, TinyInt, Unsigned};

use crate::sql::rows::{BrokenColumn, ReadValue};

impl ReadValue for Mysql {
    fn integer(value: &mut MysqlValue<'_>, column: &'static str) -> Result<i64, BrokenColumn> {
        let number = match value.value_type() {
            MysqlType::UnsignedTiny => read::<u8, Unsigned<TinyInt>>(value).map(i64::from),
            MysqlType::UnsignedShort => read::<u16, Unsigned<SmallInt>>(value).map(i64::from),
            MysqlType::UnsignedLong => read::<u32, Unsigned<Integer>>(value).map(i64::from),
            MysqlType::UnsignedLongLong => read::<u64, Unsigned<BigInt>>(value)
                .and_then(|number| i64::try_from(number).map_err(Into::into)),
            MysqlType::Tiny
            | MysqlType::Short
            | MysqlType::Long
            | MysqlType::LongLong
            | MysqlType::Numeric => read::<i64, BigInt>(value),
            _ => return Err(of_another_type(value, column, "an integer")),
        };
        number.map_err(|cause| BrokenColumn::new(column, "an integer", cause))
    }

    fn text<'v>(
        value: &'v mut MysqlValue<'_>,
        column: &'static str,
    ) -> Result<&'v str, BrokenColumn> {
        match value.value_type() {
            MysqlType::String | MysqlType::Blob => str::from_utf8(value.as_bytes())
                .map_err(|cause| BrokenColumn::new(column, "UTF-8", cause)),
            _ => Err(of_another_type(value, column, "a text")),
        }
    }

    fn time(
        value: &mut MysqlValue<'_>,
        column: &'static str,
    ) -> Result<DateTime<Utc>, BrokenColumn> {
        match value.value_type() {
            MysqlType::DateTime | MysqlType::Timestamp => read::<NaiveDateTime, Datetime>(value)
                .map(|time| time.and_utc())
                .map_err(|cause| BrokenColumn::new(column, "a time", cause)),
            _ => Err(of_another_type(value, column, "a time")),
        }
    }
}

fn read<T: FromSql<ST, Mysql>, ST>(value: &MysqlValue<'_>) -> deserialize::Result<T> {
    T::from_sql(value.clone())
}

fn of_another_type(
    value: &MysqlValue<'_>,
    column: &'static str,
    expected: &'static str,
) -> BrokenColumn {
    let found = format_args!("a value of the type {:?}", value.value_type());
    BrokenColumn::new(column, expected, found)
}
