//! Columns as SQLite hands them out: of any type, whatever the table says.

use std::str;

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::connection::LoadConnection;
use diesel::result::{Error as DieselError, QueryResult};
use diesel::row::{Field, Row};
use diesel::sqlite::{Sqlite, SqliteType, SqliteValue};

use crate::diesel::statement::Statement;

/// A column of the current row; SQL's NULL is `None`.
pub(super) type Column<'a, 'b, 'c> = Option<SqliteValue<'a, 'b, 'c>>;

/// Something in a column that should not be there.
#[derive(Debug, thiserror::Error)]
#[error("the column {column} should hold {expected}, and holds {found}")]
pub(super) struct BrokenColumn {
    pub(super) column: &'static str,
    pub(super) expected: &'static str,
    pub(super) found: String,
}

/// Takes the first row through `read` and lets the statement run to its end.
pub(super) fn first_row<C, T, const N: usize>(
    connection: &mut C,
    statement: Statement<'_>,
    read: impl FnOnce(&mut [Column<'_, '_, '_>; N]) -> Result<T, BrokenColumn>,
) -> QueryResult<Option<T>>
where
    C: LoadConnection<Backend = Sqlite>,
{
    let mut rows = connection.load(statement)?;
    let first = match rows.next() {
        Some(row) => Some(with_columns(&row?, read)),
        None => None,
    };
    for row in rows {
        row?;
    }
    first
        .transpose()
        .map_err(|broken| DieselError::DeserializationError(Box::new(broken)))
}

/// Takes the first `N` columns of a row through `read`.
pub(super) fn with_columns<'a, T, const N: usize>(
    row: &impl Row<'a, Sqlite>,
    read: impl FnOnce(&mut [Column<'_, '_, '_>; N]) -> T,
) -> T {
    let fields: [_; N] = std::array::from_fn(|index| row.get(index));
    let mut columns = fields
        .each_ref()
        .map(|field| field.as_ref().and_then(Field::value));
    read(&mut columns)
}

/// An integer or NULL.
pub(super) fn optional_integer(
    value: &mut Column<'_, '_, '_>,
    column: &'static str,
) -> Result<Option<i64>, BrokenColumn> {
    let Some(value) = value else {
        return Ok(None);
    };
    match value.value_type() {
        Some(SqliteType::Long) => Ok(Some(value.read_long())),
        _ => Err(BrokenColumn {
            column,
            expected: "an integer",
            found: format!("{:?}", value.read_text()),
        }),
    }
}

/// An integer.
pub(super) fn integer(
    value: &mut Column<'_, '_, '_>,
    column: &'static str,
) -> Result<i64, BrokenColumn> {
    optional_integer(value, column)?.ok_or_else(|| null(column, "an integer"))
}

/// A text or NULL.
pub(super) fn optional_text<'v>(
    value: &'v mut Column<'_, '_, '_>,
    column: &'static str,
) -> Result<Option<&'v str>, BrokenColumn> {
    value.as_mut().map(|value| utf8(value, column)).transpose()
}

/// A text.
pub(super) fn text<'v>(
    value: &'v mut Column<'_, '_, '_>,
    column: &'static str,
) -> Result<&'v str, BrokenColumn> {
    optional_text(value, column)?.ok_or_else(|| null(column, "a text"))
}

fn utf8<'v>(
    value: &'v mut SqliteValue<'_, '_, '_>,
    column: &'static str,
) -> Result<&'v str, BrokenColumn> {
    // Diesel reads what is not UTF-8 with replacement characters: a message must not be changed
    // like that in silence.
    if value.read_text().contains(char::REPLACEMENT_CHARACTER)
        && str::from_utf8(value.read_blob()).is_err()
    {
        return Err(BrokenColumn {
            column,
            expected: "UTF-8",
            found: "other bytes".to_owned(),
        });
    }
    Ok(value.read_text())
}

/// A time as this library writes it, or as SQLite's own functions do (in UTC).
pub(super) fn time(text: &str, column: &'static str) -> Result<DateTime<Utc>, BrokenColumn> {
    DateTime::parse_from_rfc3339(text)
        .map(|time| time.to_utc())
        .or_else(|_| NaiveDateTime::parse_from_str(text, "%F %T%.f").map(|time| time.and_utc()))
        .map_err(|_| BrokenColumn {
            column,
            expected: "a time such as 2026-03-01T12:00:00.000000Z",
            found: format!("{text:?}"),
        })
}

fn null(column: &'static str, expected: &'static str) -> BrokenColumn {
    BrokenColumn {
        column,
        expected,
        found: "NULL".to_owned(),
    }
}
