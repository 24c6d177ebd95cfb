//! A message as the values of a row, and messages as rows of values in one INSERT statement.

#[cfg(any(feature = "sqlite", feature = "mysql_backend"))]
use std::marker::PhantomData;

use diesel::backend::Backend;
use diesel::query_builder::AstPass;
#[cfg(any(feature = "sqlite", feature = "mysql_backend"))]
use diesel::query_builder::{QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::serialize::ToSql;
use diesel::sql_types::{BigInt, HasSqlType, Nullable, Text};

use crate::message::raw::RawMessage;
#[cfg(any(feature = "sqlite", feature = "mysql_backend"))]
use crate::message::slot::Slot;
#[cfg(any(feature = "sqlite", feature = "mysql_backend"))]
use crate::sql::columns::push_columns;
use crate::sql::schema::MessageTable;
#[cfg(any(feature = "sqlite", feature = "mysql_backend"))]
use crate::sql::schema::TableSchema;
#[cfg(any(feature = "sqlite", feature = "mysql_backend"))]
use crate::store::repository::OnDuplicate;

/// The values that a database stores in its own way: the id, JSON, and the time.
pub(super) trait RowDialect: Backend {
    /// Those values of a message that must be converted for their columns.
    type Converted<'a>;

    /// Converts them, once for each row.
    fn convert(message: &RawMessage) -> Self::Converted<'_>;

    /// Writes the id.
    fn push_id<'b>(row: &'b Row<'_, Self>, out: &mut AstPass<'_, 'b, Self>) -> QueryResult<()>
    where
        Self: Sized;

    /// Writes payload, headers and time.
    fn push_content<'b>(row: &'b Row<'_, Self>, out: &mut AstPass<'_, 'b, Self>) -> QueryResult<()>
    where
        Self: Sized;
}

/// A message as a row.
pub(super) struct Row<'a, DB: RowDialect> {
    pub(super) message: &'a RawMessage,
    pub(super) converted: DB::Converted<'a>,
    version: i64,
    key_slot: i64,
}

impl<'a, DB> Row<'a, DB>
where
    DB: RowDialect + HasSqlType<Text> + HasSqlType<BigInt>,
    str: ToSql<Text, DB>,
    i64: ToSql<BigInt, DB>,
    Option<String>: ToSql<Nullable<Text>, DB>,
{
    pub(super) fn new(message: &'a RawMessage) -> Self {
        Self {
            message,
            converted: DB::convert(message),
            version: i64::from(message.message_version),
            key_slot: i64::from(message.key_slot.get()),
        }
    }

    /// Writes the values in the order of the columns (see [`push_columns`](super::columns::push_columns)).
    /// If `are_keyless`, no message of the statement has a key, and the slot is a constant, which costs
    /// less than a value.
    pub(super) fn push_values<'b>(
        &'b self,
        table: &MessageTable,
        are_keyless: bool,
        push_topic: impl FnOnce(&mut AstPass<'_, 'b, DB>) -> QueryResult<()>,
        out: &mut AstPass<'_, 'b, DB>,
    ) -> QueryResult<()> {
        DB::push_id(self, out)?;
        out.push_sql(", ");
        push_topic(out)?;
        out.push_sql(", ");
        out.push_bind_param::<Text, str>(&self.message.message_type)?;
        if table.message_version.is_some() {
            out.push_sql(", ");
            out.push_bind_param::<BigInt, i64>(&self.version)?;
        }
        if table.correlation_id.is_some() {
            out.push_sql(", ");
            out.push_bind_param::<Nullable<Text>, Option<String>>(&self.message.correlation_id)?;
        }
        if table.key_slot.is_some() {
            if are_keyless {
                out.push_sql(", -1");
            } else {
                out.push_sql(", ");
                out.push_bind_param::<BigInt, i64>(&self.key_slot)?;
            }
        }
        out.push_sql(", ");
        DB::push_content(self, out)
    }
}

/// The SQL for the topic of a statement's first message.
#[cfg(any(feature = "sqlite", feature = "mysql_backend"))]
pub(super) trait TopicExpression<DB: Backend>: 'static
where
    DB: HasSqlType<Text>,
    str: ToSql<Text, DB>,
{
    /// Whether a statement must insert messages of one topic only.
    #[cfg(feature = "mysql_backend")]
    const IS_FOR_ALL_ROWS: bool = false;

    /// Writes the SQL, with its values, for a statement with this number of rows.
    fn push<'b>(
        schema: &'b TableSchema,
        topic: &'b str,
        rows: usize,
        out: &mut AstPass<'_, 'b, DB>,
    ) -> QueryResult<()>;

    /// Writes the SQL for the topic of another message.
    fn push_other<'b>(topic: &'b str, out: &mut AstPass<'_, 'b, DB>) -> QueryResult<()> {
        out.push_bind_param::<Text, str>(topic)
    }
}

/// The topic as a value.
#[cfg(any(feature = "sqlite", feature = "mysql_backend"))]
pub(super) struct PlainTopic;

#[cfg(any(feature = "sqlite", feature = "mysql_backend"))]
impl<DB> TopicExpression<DB> for PlainTopic
where
    DB: Backend + HasSqlType<Text>,
    str: ToSql<Text, DB>,
{
    fn push<'b>(
        _: &'b TableSchema,
        topic: &'b str,
        _: usize,
        out: &mut AstPass<'_, 'b, DB>,
    ) -> QueryResult<()> {
        out.push_bind_param::<Text, str>(topic)
    }
}

/// The INSERT statement. With `HAS_STATIC_ID`, Diesel finds the prepared statement in its cache by this type:
/// its text must be the same for all its values, so there is one message, in the default tables. For other
/// messages, Diesel writes the text again each time to look the statement up.
#[cfg(any(feature = "sqlite", feature = "mysql_backend"))]
pub(super) struct InsertRows<'a, DB: RowDialect, T, const HAS_STATIC_ID: bool> {
    schema: &'a TableSchema,
    rows: Vec<Row<'a, DB>>,
    /// Whether no message has a key, unless the text must be the same for all values.
    are_keyless: bool,
    duplicates: OnDuplicate,
    first_topic: PhantomData<T>,
}

#[cfg(any(feature = "sqlite", feature = "mysql_backend"))]
impl<'a, DB, T, const HAS_STATIC_ID: bool> InsertRows<'a, DB, T, HAS_STATIC_ID>
where
    DB: RowDialect + HasSqlType<Text> + HasSqlType<BigInt>,
    str: ToSql<Text, DB>,
    i64: ToSql<BigInt, DB>,
    Option<String>: ToSql<Nullable<Text>, DB>,
{
    pub(super) fn new(
        schema: &'a TableSchema,
        messages: &'a [RawMessage],
        duplicates: OnDuplicate,
    ) -> Self {
        let is_keyless = |message: &RawMessage| message.key_slot == Slot::NONE;
        Self {
            schema,
            rows: messages.iter().map(Row::new).collect(),
            are_keyless: !HAS_STATIC_ID && messages.iter().all(is_keyless),
            duplicates,
            first_topic: PhantomData,
        }
    }
}

#[cfg(any(feature = "sqlite", feature = "mysql_backend"))]
impl<DB, T, const HAS_STATIC_ID: bool> QueryFragment<DB> for InsertRows<'_, DB, T, HAS_STATIC_ID>
where
    DB: RowDialect + HasSqlType<Text> + HasSqlType<BigInt>,
    T: TopicExpression<DB>,
    str: ToSql<Text, DB>,
    i64: ToSql<BigInt, DB>,
    Option<String>: ToSql<Nullable<Text>, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        let table = &self.schema.messages;
        out.push_sql("INSERT INTO ");
        out.push_identifier(&table.table)?;
        out.push_sql(" (");
        push_columns(table, &mut out)?;
        out.push_sql(") VALUES ");
        for (index, row) in self.rows.iter().enumerate() {
            out.push_sql(if index == 0 { "(" } else { ", (" });
            let topic = &row.message.topic;
            let push_topic = |out: &mut AstPass<'_, 'b, DB>| match index {
                0 => T::push(self.schema, topic, self.rows.len(), out),
                _ => T::push_other(topic, out),
            };
            row.push_values(table, self.are_keyless, push_topic, &mut out)?;
            out.push_sql(")");
        }
        // MySQL has no such clause, and is never asked for it.
        if self.duplicates == OnDuplicate::Ignore {
            out.push_sql(" ON CONFLICT (");
            out.push_identifier(&table.message_id)?;
            out.push_sql(") DO NOTHING");
        }
        Ok(())
    }
}

#[cfg(any(feature = "sqlite", feature = "mysql_backend"))]
impl<DB: RowDialect + 'static, T: 'static, const HAS_STATIC_ID: bool> QueryId
    for InsertRows<'_, DB, T, HAS_STATIC_ID>
{
    type QueryId = InsertRows<'static, DB, T, HAS_STATIC_ID>;
    const HAS_STATIC_QUERY_ID: bool = HAS_STATIC_ID;
}
