//! Reads SQLite's values, which can be of any type, regardless of the table's declaration.

use std::str;

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::sqlite::{Sqlite, SqliteType, SqliteValue};
use uuid::Uuid;

use crate::sql::rows::{BrokenColumn, ReadValue};
use crate::sql::sqlite::times;

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

    /// Reads a UUID. Replacement characters need no check, because neither a UUID nor a time can
    /// contain them.
    fn uuid(
        value: &mut SqliteValue<'_, '_, '_>,
        column: &'static str,
    ) -> Result<Uuid, BrokenColumn> {
        let text = value.read_text();
        Uuid::try_parse(text)
            .map_err(|_| BrokenColumn::new(column, "a UUID", format_args!("{text:?}")))
    }

    /// Reads a time in the form that this library writes, or that SQLite's own functions write (in
    /// UTC).
    fn time(
        value: &mut SqliteValue<'_, '_, '_>,
        column: &'static str,
    ) -> Result<DateTime<Utc>, BrokenColumn> {
        let text = value.read_text();
        if let Some(time) = times::as_written(text.as_bytes()) {
            return Ok(time);
        }
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
    // Diesel replaces bytes that are not UTF-8 with replacement characters. A message must not be
    // changed like that in silence. Reading every text as a blob would copy it.
    if value.read_text().contains(char::REPLACEMENT_CHARACTER)
        && str::from_utf8(value.read_blob()).is_err()
    {
        return Err(BrokenColumn::new(column, "UTF-8", "other bytes"));
    }
    Ok(value.read_text())
}
