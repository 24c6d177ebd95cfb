//! SQL whose text depends on the names of the tables only, so that it is prepared once per
//! connection.

use diesel::backend::Backend;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::serialize::ToSql;
use diesel::sql_types::{BigInt, HasSqlType, Nullable, Text, Untyped};

/// A statement in parts.
pub(super) struct Statement<'a> {
    parts: Vec<Part<'a>>,
}

/// A part of a statement.
#[derive(Clone, Copy)]
pub(super) enum Part<'a> {
    /// SQL as it is.
    Sql(&'static str),
    /// The name of a table or column, which gets quoted.
    Name(&'a str),
    /// A value.
    Text(&'a str),
    /// A value.
    Number(i64),
    /// A value.
    OptionalNumber(Option<i64>),
}

impl<'a> Statement<'a> {
    pub(super) fn new(parts: impl IntoIterator<Item = Part<'a>>) -> Self {
        Self {
            parts: parts.into_iter().collect(),
        }
    }
}

impl<DB> QueryFragment<DB> for Statement<'_>
where
    DB: Backend + HasSqlType<Text> + HasSqlType<BigInt>,
    str: ToSql<Text, DB>,
    i64: ToSql<BigInt, DB>,
    Option<i64>: ToSql<Nullable<BigInt>, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        for part in &self.parts {
            match part {
                Part::Sql(sql) => out.push_sql(sql),
                Part::Name(name) => out.push_identifier(name)?,
                Part::Text(text) => out.push_bind_param::<Text, str>(text)?,
                Part::Number(number) => out.push_bind_param::<BigInt, i64>(number)?,
                Part::OptionalNumber(number) => {
                    out.push_bind_param::<Nullable<BigInt>, Option<i64>>(number)?;
                }
            }
        }
        Ok(())
    }
}

/// The text identifies the statement in the cache.
impl QueryId for Statement<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

/// What the columns hold is looked at when they are read.
impl Query for Statement<'_> {
    type SqlType = Untyped;
}
