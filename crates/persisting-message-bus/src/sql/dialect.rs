//! SQL whose text depends only on the names of the tables, so each connection prepares it once.

use std::borrow::Cow;
use std::slice::Iter;

use diesel::backend::Backend;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::{Error as DieselError, QueryResult};
use diesel::serialize::ToSql;
use diesel::sql_types::{BigInt, HasSqlType, Nullable, Text, Untyped};

/// A statement. In its SQL, `{table}`, `{topic}`, ... stand for names, `{now}`, ... for expressions
/// of the database's dialect, and each `?` for the next value.
pub struct Statement<'a, V = Value<'a>> {
    sql: Cow<'static, str>,
    names: &'a dyn Names,
    values: Vec<V>,
    /// Whether the statement is prepared each time.
    is_unprepared: bool,
}

/// The names of a table and its columns.
pub(crate) trait Names: Sync {
    /// Returns the name that `{key}` stands for.
    fn name(&self, key: &str) -> Option<&str>;
}

/// The expressions that differ between databases.
pub trait Dialect: Backend {
    /// `{now}`: the current time, also in a transaction that began long ago.
    const NOW: &'static str;
    /// `{now_plus_millis}`: the current time plus a number of milliseconds, which is its value.
    const NOW_PLUS_MILLIS: &'static str;
    /// `{text}`: a text that is compared letter by letter, regardless of the column's collation.
    const TEXT: &'static str = "?";
    /// `{uuid}`: a text that represents a UUID.
    const UUID: &'static str = "?";
    /// `{or_nothing}`: the clause that makes an INSERT do nothing if its key is taken. If the
    /// clause is empty, a taken key is an error.
    const OR_NOTHING: &'static str = "ON CONFLICT DO NOTHING";
    /// `{messages}`: the message table, for reads by topic and position.
    const MESSAGES: &'static str = "{table}";
    /// `{of_topic}`: the condition that a message is of a topic. Each `?` in it takes the topic as
    /// its value.
    const OF_TOPIC: &'static str = "{topic} = ?";
    /// `{is_readable}`: a condition on the server from which a page is read.
    const IS_READABLE: &'static str = "";
    /// `{oldest_received}`: the oldest rows of an inbox, for a DELETE. Its values are the consumer,
    /// the source, a number of milliseconds from now, and the maximum number of rows.
    const OLDEST_RECEIVED: &'static str = "
        ({consumer}, {source}, {message_id}) IN (
            SELECT {consumer}, {source}, {message_id} FROM {table}
            WHERE {consumer} = ? AND {source} = ? AND {received_at} <= {now_plus_millis}
            ORDER BY {received_at} LIMIT {limit})";
    /// `{limit}`: the number after LIMIT, which is its value.
    const LIMIT: &'static str = "?";

    /// The columns of the table whose name is the value, as the session finds it. No rows if there is
    /// no such table.
    const COLUMNS: &'static str;
    /// The database and the schemas in which the session finds tables, for errors.
    const PLACE: &'static str;
    /// `{segments_of}`: the current rows of a consumer's segments on a topic, as `segment`. Its values
    /// are the number of segments, the consumer's name and the topic.
    const SEGMENTS_OF: &'static str = "
        {table} AS segment WHERE ? > 0 AND {of_consumer} = ? AND {topic} = ?";
    /// Whether the library needs the table of publishers' slots.
    const HAS_SLOTS: bool = false;

    /// Whether a prepared statement cannot run again after it failed while its rows were loaded.
    const FAILED_LOADS_BREAK_STATEMENTS: bool = false;

    /// Binds a value.
    fn bind<'b>(value: &'b Value<'_>, out: &mut AstPass<'_, 'b, Self>) -> QueryResult<()>;
}

/// A value in a statement.
#[derive(Clone, Copy)]
pub enum Value<'a> {
    Text(&'a str),
    OptionalText(Option<&'a str>),
    Number(i64),
    OptionalNumber(Option<i64>),
}

impl Value<'_> {
    /// Returns the value of `{limit}`. A limit above `i64::MAX` becomes that, because no table has
    /// more rows.
    pub(super) fn limit(limit: usize) -> Self {
        Self::Number(i64::try_from(limit).unwrap_or(i64::MAX))
    }
}

/// A value that can be bound for a `?` in the SQL of a database.
pub(super) trait BindTo<DB: Backend> {
    /// Binds the value.
    fn bind<'b>(&'b self, out: &mut AstPass<'_, 'b, DB>) -> QueryResult<()>;
}

impl<DB: Dialect> BindTo<DB> for Value<'_> {
    fn bind<'b>(&'b self, out: &mut AstPass<'_, 'b, DB>) -> QueryResult<()> {
        DB::bind(self, out)
    }
}

impl<'a, V> Statement<'a, V> {
    pub(super) fn new(
        sql: impl Into<Cow<'static, str>>,
        names: &'a dyn Names,
        values: impl IntoIterator<Item = V>,
    ) -> Self {
        Self {
            sql: sql.into(),
            names,
            values: values.into_iter().collect(),
            is_unprepared: false,
        }
    }

    /// Prepares the statement each time, because its result is that of its preparation.
    pub(super) fn unprepared(self) -> Self {
        Self {
            is_unprepared: true,
            ..self
        }
    }

    fn walk<'b, DB: Dialect>(
        &'b self,
        sql: &str,
        values: &mut Iter<'b, V>,
        out: &mut AstPass<'_, 'b, DB>,
    ) -> QueryResult<()>
    where
        V: BindTo<DB>,
    {
        let mut rest = sql;
        // The search goes byte by byte, which is several times as fast as letter by letter.
        let is_placeholder = |byte| matches!(byte, b'{' | b'?');
        while let Some(at) = rest.bytes().position(is_placeholder) {
            let (sql, placeholder) = rest.split_at(at);
            out.push_sql(sql);
            rest = if let Some((key, suffix)) = placeholder
                .strip_prefix('{')
                .and_then(|name| name.split_once('}'))
            {
                match of_dialect::<DB>(key) {
                    Some(sql) => self.walk(sql, values, out)?,
                    None => out.push_identifier(self.name(key)?)?,
                }
                suffix
            } else {
                let no_value = || DieselError::QueryBuilderError("a `?` has no value".into());
                values.next().ok_or_else(no_value)?.bind(out)?;
                &placeholder[1..]
            };
        }
        out.push_sql(rest);
        Ok(())
    }

    fn name(&self, key: &str) -> QueryResult<&str> {
        let unknown = || DieselError::QueryBuilderError(format!("no name for {{{key}}}").into());
        self.names.name(key).ok_or_else(unknown)
    }
}

fn of_dialect<DB: Dialect>(key: &str) -> Option<&'static str> {
    Some(match key {
        "now" => DB::NOW,
        "now_plus_millis" => DB::NOW_PLUS_MILLIS,
        "text" => DB::TEXT,
        "uuid" => DB::UUID,
        "or_nothing" => DB::OR_NOTHING,
        "messages" => DB::MESSAGES,
        "of_topic" => DB::OF_TOPIC,
        "is_readable" => DB::IS_READABLE,
        "limit" => DB::LIMIT,
        "segments_of" => DB::SEGMENTS_OF,
        "oldest_received" => DB::OLDEST_RECEIVED,
        _ => return None,
    })
}

impl<DB: Dialect, V: BindTo<DB>> QueryFragment<DB> for Statement<'_, V> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        if self.is_unprepared {
            out.unsafe_to_cache_prepared();
        }
        self.walk(&self.sql, &mut self.values.iter(), &mut out)
    }
}

/// Binds a value in the way that all databases share, once it is known that the database has the
/// value's type.
pub(super) fn bind<'b, DB>(value: &'b Value<'_>, out: &mut AstPass<'_, 'b, DB>) -> QueryResult<()>
where
    DB: Backend + HasSqlType<Text> + HasSqlType<BigInt>,
    str: ToSql<Text, DB>,
    for<'a> Option<&'a str>: ToSql<Nullable<Text>, DB>,
    i64: ToSql<BigInt, DB>,
    Option<i64>: ToSql<Nullable<BigInt>, DB>,
{
    match value {
        Value::Text(text) => out.push_bind_param::<Text, str>(text),
        Value::OptionalText(text) => out.push_bind_param::<Nullable<Text>, Option<&str>>(text),
        Value::Number(number) => out.push_bind_param::<BigInt, i64>(number),
        Value::OptionalNumber(number) => {
            out.push_bind_param::<Nullable<BigInt>, Option<i64>>(number)
        }
    }
}

/// The text identifies the statement in the cache.
impl<V> QueryId for Statement<'_, V> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

/// The query is untyped, because the types of its columns are checked when they are read.
impl<V> Query for Statement<'_, V> {
    type SqlType = Untyped;
}
