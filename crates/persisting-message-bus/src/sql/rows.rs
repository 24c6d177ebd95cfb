//! Columns as a database returns them, regardless of the types that the table declares.

use std::fmt::Display;

use chrono::{DateTime, Utc};
use diesel::backend::Backend;
use diesel::connection::LoadConnection;
use diesel::result::{Error as DieselError, QueryResult};
use diesel::row::{Field, Row};
use uuid::Uuid;

use crate::sql::dialect::{Dialect, Statement};
use crate::sql::prepared::loaded;

/// Reads the values of a database.
pub trait ReadValue: Backend {
    /// Reads an integer of any width.
    fn integer(value: &mut Self::RawValue<'_>, column: &'static str) -> Result<i64, BrokenColumn>;

    /// Reads a text, which is borrowed from the row.
    fn text<'v>(
        value: &'v mut Self::RawValue<'_>,
        column: &'static str,
    ) -> Result<&'v str, BrokenColumn>;

    /// Reads a UUID, from a text where the database has no type for UUIDs.
    fn uuid(value: &mut Self::RawValue<'_>, column: &'static str) -> Result<Uuid, BrokenColumn> {
        let text = Self::text(value, column)?;
        Uuid::try_parse(text)
            .map_err(|_| BrokenColumn::new(column, "a UUID", format_args!("{text:?}")))
    }

    /// Reads a point in time.
    fn time(
        value: &mut Self::RawValue<'_>,
        column: &'static str,
    ) -> Result<DateTime<Utc>, BrokenColumn>;
}

/// A value that a column must not hold.
#[derive(Debug, thiserror::Error)]
#[error("the column {column} must hold {expected}, but holds {found}")]
pub struct BrokenColumn {
    pub(super) column: &'static str,
    pub(super) expected: &'static str,
    pub(super) found: String,
}

impl BrokenColumn {
    pub(super) fn new(column: &'static str, expected: &'static str, found: impl Display) -> Self {
        Self {
            column,
            expected,
            found: found.to_string(),
        }
    }
}

/// A column of the current row.
pub struct Column<'a, DB: Backend>(Option<DB::RawValue<'a>>);

impl<'a, DB: ReadValue> Column<'a, DB> {
    pub(super) fn optional_integer(
        &mut self,
        column: &'static str,
    ) -> Result<Option<i64>, BrokenColumn> {
        let value = self.0.as_mut();
        value.map(|value| DB::integer(value, column)).transpose()
    }

    pub(super) fn integer(&mut self, column: &'static str) -> Result<i64, BrokenColumn> {
        DB::integer(self.value(column, "an integer")?, column)
    }

    pub(super) fn optional_text(
        &mut self,
        column: &'static str,
    ) -> Result<Option<&str>, BrokenColumn> {
        let value = self.0.as_mut();
        value.map(|value| DB::text(value, column)).transpose()
    }

    pub(super) fn text(&mut self, column: &'static str) -> Result<&str, BrokenColumn> {
        DB::text(self.value(column, "a text")?, column)
    }

    pub(super) fn uuid(&mut self, column: &'static str) -> Result<Uuid, BrokenColumn> {
        DB::uuid(self.value(column, "a UUID")?, column)
    }

    pub(super) fn optional_time(
        &mut self,
        column: &'static str,
    ) -> Result<Option<DateTime<Utc>>, BrokenColumn> {
        let value = self.0.as_mut();
        value.map(|value| DB::time(value, column)).transpose()
    }

    pub(super) fn time(&mut self, column: &'static str) -> Result<DateTime<Utc>, BrokenColumn> {
        DB::time(self.value(column, "a time")?, column)
    }

    fn value(
        &mut self,
        column: &'static str,
        expected: &'static str,
    ) -> Result<&mut DB::RawValue<'a>, BrokenColumn> {
        let value = self.0.as_mut();
        value.ok_or_else(|| BrokenColumn::new(column, expected, "NULL"))
    }
}

/// Calls `read` with the first `N` columns of a row.
pub(super) fn with_columns<'a, DB: ReadValue, T, const N: usize>(
    row: &impl Row<'a, DB>,
    read: impl FnOnce(&mut [Column<'_, DB>; N]) -> T,
) -> T {
    let fields: [_; N] = std::array::from_fn(|index| row.get(index));
    let mut columns =
        std::array::from_fn(|index| Column(fields[index].as_ref().and_then(Field::value)));
    read(&mut columns)
}

/// Returns the texts in the first column.
pub(super) fn texts<C>(connection: &mut C, statement: Statement<'_>) -> QueryResult<Vec<String>>
where
    C: LoadConnection + 'static,
    C::Backend: ReadValue + Dialect,
{
    let read = |connection: &mut C| {
        let rows = connection.load(statement)?;
        let texts = rows.map(|row| {
            let text = with_columns(&row?, |[text]| text.text("name").map(str::to_owned));
            text.map_err(|broken| DieselError::DeserializationError(Box::new(broken)))
        });
        texts.collect()
    };
    let texts = read(connection);
    loaded(connection, texts)
}

/// Calls `read` with the first `N` columns of the first row, and lets the statement run to its end.
pub(super) fn first_row<C, T, const N: usize>(
    connection: &mut C,
    statement: Statement<'_>,
    read: impl FnOnce(&mut [Column<'_, C::Backend>; N]) -> Result<T, BrokenColumn>,
) -> QueryResult<Option<T>>
where
    C: LoadConnection + 'static,
    C::Backend: ReadValue + Dialect,
{
    let run = |connection: &mut C| {
        // The rows of an async connection do not say twice that they have ended.
        let mut rows = connection.load(statement)?.fuse();
        let first = match rows.next() {
            Some(row) => Some(with_columns(&row?, read)),
            None => None,
        };
        for row in rows {
            row?;
        }
        Ok(first)
    };
    let first = run(connection);
    loaded(connection, first)?
        .transpose()
        .map_err(|broken| DieselError::DeserializationError(Box::new(broken)))
}
