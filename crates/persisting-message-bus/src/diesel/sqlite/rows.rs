//! SQLite's columns are of any type, whatever the table says.

use std::str;

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::sqlite::{Sqlite, SqliteType, SqliteValue};

use crate::diesel::rows::{BrokenColumn, ReadValue};

impl ReadValue for Sqlite {
    fn integer(
        value: &mut SqliteValue<'_, '_, '_>,
        column: &'static str,
    ) -> Result<i64, BrokenColumn> {
        match value.value_type() {
            Some(SqliteType::Long) => Ok(value.read_long()),
            _ => {
                let found = format_args!("{:?}", value.read_text());
                Err(BrokenColumn::new(column, "an integer", found))
            }
        }
    }

    fn text<'v>(
        value: &'v mut SqliteValue<'_, '_, '_>,
        column: &'static str,
    ) -> Result<&'v str, BrokenColumn> {
        utf8(value, column)
    }

    /// As this library writes it, or as SQLite's own functions do (in UTC).
    fn time(
        value: &mut SqliteValue<'_, '_, '_>,
        column: &'static str,
    ) -> Result<DateTime<Utc>, BrokenColumn> {
        let text = utf8(value, column)?;
        DateTime::parse_from_rfc3339(text)
            .map(|time| time.to_utc())
            .or_else(|_| NaiveDateTime::parse_from_str(text, "%F %T%.f").map(|time| time.and_utc()))
            .map_err(|_| {
                let expected = "a time such as 2026-03-01T12:00:00.000000Z";
                BrokenColumn::new(column, expected, format_args!("{text:?}"))
            })
    }
}

fn utf8<'v>(
    value: &'v mut SqliteValue<'_, '_, '_>,
    column: &'static str,
) -> Result<&'v str, BrokenColumn> {
    // Not as text: Diesel would replace what is not UTF-8, and a message must not be changed like that in
    // silence.
    str::from_utf8(value.read_blob()).map_err(|_| BrokenColumn::new(column, "UTF-8", "other bytes"))
}
