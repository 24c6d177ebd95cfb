//! SQL whose text depends on the names of the tables only, so that it is prepared once per
//! connection.

use std::borrow::Cow;

use diesel::backend::Backend;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::{Error as DieselError, QueryResult};
use diesel::serialize::ToSql;
use diesel::sql_types::{BigInt, HasSqlType, Nullable, Text, Untyped};

/// A statement: SQL in which `{table}`, `{topic}`, ... stand for names, and `?` for each value in
/// turn.
pub(super) struct Statement<'a> {
    sql: Cow<'static, str>,
    names: &'a dyn Names,
    values: Vec<Value<'a>>,
}

/// The names of a table and its columns.
pub(super) trait Names {
    /// The name that `{key}` stands for.
    fn name(&self, key: &str) -> Option<&str>;
}

/// A value in a statement.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    Text(&'a str),
    Number(i64),
    OptionalNumber(Option<i64>),
}

impl<'a> Statement<'a> {
    pub(super) fn new(
        sql: impl Into<Cow<'static, str>>,
        names: &'a dyn Names,
        values: impl IntoIterator<Item = Value<'a>>,
    ) -> Self {
        Self {
            sql: sql.into(),
            names,
            values: values.into_iter().collect(),
        }
    }

    fn name(&self, key: &str) -> QueryResult<&str> {
        let unknown = || DieselError::QueryBuilderError(format!("no name for {{{key}}}").into());
        self.names.name(key).ok_or_else(unknown)
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
        let mut values = self.values.iter();
        let mut rest = &*self.sql;
        while let Some(at) = rest.find(['{', '?']) {
            let (sql, placeholder) = rest.split_at(at);
            out.push_sql(sql);
            rest = if let Some((key, behind)) = placeholder
                .strip_prefix('{')
                .and_then(|name| name.split_once('}'))
            {
                out.push_identifier(self.name(key)?)?;
                behind
            } else {
                bind(values.next(), &mut out)?;
                &placeholder[1..]
            };
        }
        out.push_sql(rest);
        Ok(())
    }
}

fn bind<'b, DB>(value: Option<&'b Value<'_>>, out: &mut AstPass<'_, 'b, DB>) -> QueryResult<()>
where
    DB: Backend + HasSqlType<Text> + HasSqlType<BigInt>,
    str: ToSql<Text, DB>,
    i64: ToSql<BigInt, DB>,
    Option<i64>: ToSql<Nullable<BigInt>, DB>,
{
    match value {
        Some(Value::Text(text)) => out.push_bind_param::<Text, str>(text),
        Some(Value::Number(number)) => out.push_bind_param::<BigInt, i64>(number),
        Some(Value::OptionalNumber(number)) => {
            out.push_bind_param::<Nullable<BigInt>, Option<i64>>(number)
        }
        None => Err(DieselError::QueryBuilderError("a `?` has no value".into())),
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
