//! Tables and columns that a connection does not find, for the errors that name them.

use diesel::result::QueryResult;

use crate::error::Error;
use crate::error::class::Class;
use crate::sql::dialect::{Dialect, Statement, Value};
use crate::sql::error::failed_while;
use crate::sql::executor::{Executor, Step};
use crate::sql::schema::TableSchema;
use crate::sql::table_names::Layout;

const MIGRATE: &str = "call sql::migrate(&mut connection) before, or connect to the database and the \
    schema that have the tables";

const CREATE: &str = "create what is missing, or correct the names in the TableSchema";

/// The tables that do not exist or lack columns.
#[derive(Debug)]
pub(super) struct Missing {
    tables: Vec<Table>,
    /// The database, and the schemas in it.
    place: String,
}

/// A table that does not exist, or that lacks columns.
#[derive(Debug)]
struct Table {
    name: String,
    /// Empty if there is no such table.
    columns: Vec<String>,
}

impl Missing {
    /// Compares the tables that the connection finds with those that the library needs. Only reads.
    /// MySQL and MariaDB hide tables and columns on which the user has no right at all; the other
    /// databases do not.
    pub(super) async fn find<E: Executor>(
        executor: &mut E,
        schema: &TableSchema,
    ) -> Result<Self, Error> {
        Self::find_among(executor, layouts::<E::Backend>(schema).collect()).await
    }

    async fn find_among<E: Executor>(
        executor: &mut E,
        layouts: Vec<Layout<'_>>,
    ) -> Result<Self, Error> {
        let mut tables = Vec::new();
        let failed = |cause| failed_while("looking for its tables", cause);
        for layout in layouts {
            let value = [Value::Text(layout.table)];
            let found = texts(executor, E::Backend::COLUMNS, value).await;
            let found = found.map_err(failed)?;
            tables.extend(Table::compare(&layout, &found));
        }
        let place = if tables.is_empty() {
            String::new()
        } else {
            let place = texts(executor, E::Backend::PLACE, []).await;
            place.map_err(failed)?.concat()
        };
        Ok(Self { tables, place })
    }

    /// Returns `true` if nothing is missing.
    pub(super) fn is_nothing(&self) -> bool {
        self.tables.is_empty()
    }

    /// Returns the error of an operation that needs all of them.
    pub(super) fn error(&self, doing: &str, next: &'static str) -> Error {
        Error::tables_missing(doing, self.describe(), next)
    }

    /// Adds to an error that they are missing. A conflict with another transaction has another
    /// cause.
    pub(super) fn explain(&self, error: Error, next: &'static str) -> Error {
        if error.class() == Some(Class::Transient) {
            return error;
        }
        error.because_missing(self.describe(), next)
    }

    fn describe(&self) -> String {
        let tables: Vec<_> = self.tables.iter().map(Table::describe).collect();
        format!("{} in {}", tables.join(", and "), self.place)
    }
}

impl Table {
    fn compare(layout: &Layout<'_>, found: &[String]) -> Option<Self> {
        let is_found = |name: &str| found.iter().any(|found| found.eq_ignore_ascii_case(name));
        let lacking = layout.columns.iter().filter(|name| !is_found(name));
        let columns: Vec<_> = lacking.map(|&name| name.to_owned()).collect();
        let table = |columns| Self {
            name: layout.table.to_owned(),
            columns,
        };
        match (found, columns.is_empty()) {
            ([], _) => Some(table(Vec::new())),
            (_, false) => Some(table(columns)),
            (_, true) => None,
        }
    }

    fn describe(&self) -> String {
        let name = &self.name;
        if self.columns.is_empty() {
            return format!("the table \"{name}\" does not exist");
        }
        format!(
            "the table \"{name}\" has no column \"{}\"",
            self.columns.join("\" and no column \"")
        )
    }
}

/// Returns the tables of the database.
fn layouts<DB: Dialect>(schema: &TableSchema) -> impl Iterator<Item = Layout<'_>> {
    let slots = DB::HAS_SLOTS.then(|| schema.publisher_slots.layout());
    schema.layouts().into_iter().chain(slots)
}

/// Returns the error, or one that names the missing tables, if it comes from these. The database is
/// asked only after an error that names one of the tables.
pub(crate) async fn explained<E: Executor>(
    executor: &mut E,
    schema: &TableSchema,
    error: Error,
) -> Error {
    if !error.class().is_some_and(Class::may_be_of_tables) {
        return error;
    }
    // An application need not have tables that it does not use, such as the inbox.
    let text = format!("{error:#}");
    let named = layouts::<E::Backend>(schema).filter(|layout| text.contains(layout.table));
    // In a transaction that has failed, PostgreSQL does not answer.
    let Ok(missing) = Missing::find_among(executor, named.collect()).await else {
        return error;
    };
    if missing.is_nothing() {
        return error;
    }
    let next = if schema.has_default_names() {
        MIGRATE
    } else {
        CREATE
    };
    missing.explain(error, next)
}

/// Runs a query and returns the texts in its first column. It is not prepared, because on MySQL a
/// prepared query continues to look in the database that was selected before `USE`.
fn texts<'s, E: Executor>(
    executor: &'s mut E,
    sql: &'static str,
    values: impl IntoIterator<Item = Value<'s>>,
) -> Step<'s, QueryResult<Vec<String>>> {
    executor.texts(Statement::new(sql, TableSchema::DEFAULT, values).unprepared())
}
