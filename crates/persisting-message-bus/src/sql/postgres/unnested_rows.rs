//! Inserts many messages in one statement. There are few statement texts.

use std::collections::BTreeSet;

use diesel::pg::Pg;
use diesel::query_builder::AstPass;
use diesel::result::QueryResult;
use diesel::sql_types::{Array, BigInt, Nullable, Text, Timestamptz, Uuid as SqlUuid};

use crate::message::raw::RawMessage;
use crate::message::time;
use crate::sql::dialect::{BindTo, Statement};
use crate::sql::postgres::arrays::Values;
use crate::sql::postgres::binary_time::binary_time;
use crate::sql::postgres::fence::key_of;
use crate::sql::postgres::fitness::Use;
use crate::sql::postgres::json::Json;
use crate::sql::schema::MessageTable;

/// The maximum number of rows of a statement.
pub(super) const MAX_ROWS: usize = 2_000;

/// Finds the sequence and the table. The values of the statement are the table and its column of
/// positions.
const SEQUENCE: &str = "
    WITH sequence AS MATERIALIZED (
        SELECT coalesce(
            pg_catalog.pg_get_serial_sequence(pg_catalog.quote_ident(of_table), of_column),
            pg_catalog.quote_ident(pg_catalog.concat('the sequence of ', of_table, '.', of_column))
        )::pg_catalog.regclass AS id,
        pg_catalog.quote_ident(of_table)::pg_catalog.regclass::pg_catalog.oid AS of_table, of_column
        FROM (SELECT ? AS of_table, ? AS of_column) AS name
    )";

/// Takes the locks that the transaction does not hold yet, unless the table is unfit. A setting that
/// is local to the transaction remembers them, and a rollback to a savepoint undoes the setting
/// together with the locks. The name of the setting contains the topic and the sequence, both in
/// full, because a transaction may publish on tables of several schemas. The values of the statement
/// are the keys of the topics.
const FENCE: &str = "
    lock AS MATERIALIZED (
        SELECT 'persisting_message_bus.fence_' OPERATOR(pg_catalog.||) pg_catalog.to_hex(
                topic OPERATOR(pg_catalog.#) id::pg_catalog.oid::bigint
            ) AS setting,
            topic OPERATOR(pg_catalog.#) (id::pg_catalog.oid::bigint OPERATOR(pg_catalog.<<) 40)
                OPERATOR(pg_catalog.#) coalesce(pg_catalog.pg_sequence_last_value(id), 0) AS key
        FROM sequence, pg_catalog.unnest(?) AS topic
        WHERE (SELECT is_fit FROM fitness)
    ), fence AS MATERIALIZED (
        SELECT pg_catalog.count(CASE
            WHEN pg_catalog.current_setting(setting, true) OPERATOR(pg_catalog.=) 'held' THEN ''
            ELSE pg_catalog.concat(
                pg_catalog.pg_advisory_xact_lock_shared(key)::pg_catalog.text,
                pg_catalog.set_config(setting, 'held', true)
            )
        END) AS held
        FROM lock
    )";

/// A row is made after the condition is checked, and its position is drawn with the row, so after
/// the fence. There is no table to read from, so the server makes and stores one row at a time, in
/// the order of the arrays.
///
/// The position is not left to the column's default, which could draw it from another sequence than
/// the one that the fence announces. It is drawn outside of the query that unnests, which computes
/// its columns once more at the end.
const AFTER_FENCE: &str = "WHERE (SELECT held FROM fence) OPERATOR(pg_catalog.>) 0";
const POSITION: &str = "pg_catalog.nextval((SELECT id FROM sequence))";

/// A bound value: one value for all rows, or a column of all rows.
pub(super) enum Column<'a> {
    Text(&'a str),
    OptionalText(Option<&'a str>),
    Number(i64),
    Numbers(Vec<i64>),
    Uuids(Values<'a, &'a [u8; 16]>),
    Texts(Vec<&'a str>),
    OptionalTexts(Vec<Option<&'a str>>),
    Json(Values<'a, &'a str>),
    Times(Values<'a, [u8; 8]>),
}

/// Builds the statement that inserts the messages. A message whose id is taken is left out, or
/// makes the statement fail. It inserts nothing into a table that is unfit for `use_of`.
pub(super) fn insert_messages<'a>(
    table: &'a MessageTable,
    messages: &'a [RawMessage],
    leave_out_taken: bool,
    use_of: Use,
) -> Statement<'a, Column<'a>> {
    let version = table.message_version.as_ref();
    let flow = table.correlation_id.as_ref();
    let slot = table.key_slot.as_ref();
    let columns: Vec<_> = columns(messages)
        .into_iter()
        .chain(version.map(|_| versions(messages)))
        .chain(flow.map(|_| flows(messages)))
        .chain(slot.map(|_| slots(messages)))
        .collect();
    let selected: Vec<_> = columns.iter().map(Column::sql).collect();
    let version = version.map_or("", |_| ", {message_version}");
    let flow = flow.map_or("", |_| ", {correlation_id}");
    let slot = slot.map_or("", |_| ", {key_slot}");
    let conflict = if leave_out_taken {
        "ON CONFLICT ({message_id}) DO NOTHING"
    } else {
        ""
    };
    let fence = fence(use_of);
    let sql = format!(
        "{fence} INSERT INTO {{table}} ({{id}}, {{message_id}}, {{topic}}, {{message_type}}, \
         {{payload}}, {{headers}}, {{published_at}}{version}{flow}{slot}) OVERRIDING SYSTEM VALUE \
         SELECT {POSITION}, rows.* FROM (SELECT {} {AFTER_FENCE}) AS rows {conflict}",
        selected.join(", ")
    );
    Statement::new(sql, table, topics(table, messages).chain(columns))
}

fn fence(use_of: Use) -> String {
    let fitness = use_of.fitness();
    format!("{SEQUENCE}, {fitness}, {FENCE}")
}

/// Builds the statement that only takes the locks, for rows that are copied. It returns no row if
/// the table is unfit for that.
#[cfg(feature = "postgres")]
pub(super) fn take_fence<'a>(
    table: &'a MessageTable,
    messages: &'a [RawMessage],
) -> Statement<'a, Column<'a>> {
    let fence = fence(Use::Copy);
    let sql = format!("{fence} SELECT held FROM fence WHERE held OPERATOR(pg_catalog.>) 0");
    Statement::new(sql, table, topics(table, messages))
}

/// Returns the values of the fence.
fn topics<'a>(
    table: &'a MessageTable,
    messages: &'a [RawMessage],
) -> impl Iterator<Item = Column<'a>> {
    let topics: BTreeSet<_> = messages.iter().map(|message| &message.topic).collect();
    let keys = topics.iter().map(|topic| key_of(topic));
    let names = [&table.table, &table.id, &table.message_id].map(|name| Column::Text(name));
    names.into_iter().chain([Column::Numbers(keys.collect())])
}

fn columns(messages: &[RawMessage]) -> [Column<'_>; 6] {
    let texts = |text: fn(&RawMessage) -> &str| {
        let texts = messages.iter().map(text);
        same_or_each(texts, Column::Text, Column::Texts)
    };
    let json = |text| Column::Json(Values::new(messages, text));
    let time = |message: &RawMessage| binary_time(time::storable(message.published_at));
    [
        Column::Uuids(Values::new(messages, |message| {
            message.message_id.as_bytes()
        })),
        texts(|message| &message.topic),
        texts(|message| &message.message_type),
        json(|message| &message.payload),
        json(|message| &message.headers),
        Column::Times(Values::new(messages, time)),
    ]
}

fn versions(messages: &[RawMessage]) -> Column<'_> {
    let versions = messages.iter().map(|message| message.message_version);
    same_or_each(versions.map(i64::from), Column::Number, Column::Numbers)
}

fn flows(messages: &[RawMessage]) -> Column<'_> {
    let flows = messages.iter();
    let flows = flows.map(|message| message.correlation_id.as_deref());
    same_or_each(flows, Column::OptionalText, Column::OptionalTexts)
}

fn slots(messages: &[RawMessage]) -> Column<'_> {
    let slots = messages.iter();
    let slots = slots.map(|message| i64::from(message.key_slot.get()));
    same_or_each(slots, Column::Number, Column::Numbers)
}

/// Returns one value for all rows if they have the same. It is sent once, and costs the server
/// less.
fn same_or_each<'a, T: PartialEq>(
    mut values: impl Iterator<Item = T> + Clone,
    same: fn(T) -> Column<'a>,
    each: fn(Vec<T>) -> Column<'a>,
) -> Column<'a> {
    let all = values.clone();
    match values.next() {
        Some(first) if values.all(|value| value == first) => same(first),
        _ => each(all.collect()),
    }
}

impl Column<'_> {
    /// Returns the SQL that stands for the value in the statement.
    fn sql(&self) -> &'static str {
        match self {
            Self::Text(_) | Self::OptionalText(_) | Self::Number(_) => "?",
            _ => "pg_catalog.unnest(?)",
        }
    }
}

impl BindTo<Pg> for Column<'_> {
    fn bind<'b>(&'b self, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        match self {
            Self::Text(text) => out.push_bind_param::<Text, str>(text),
            Self::OptionalText(text) => out.push_bind_param::<Nullable<Text>, _>(text),
            Self::Number(number) => out.push_bind_param::<BigInt, _>(number),
            Self::Numbers(numbers) => out.push_bind_param::<Array<BigInt>, _>(numbers),
            Self::Uuids(ids) => out.push_bind_param::<Array<SqlUuid>, _>(ids),
            Self::Texts(texts) => out.push_bind_param::<Array<Text>, _>(texts),
            Self::OptionalTexts(texts) => out.push_bind_param::<Array<Nullable<Text>>, _>(texts),
            Self::Json(texts) => out.push_bind_param::<Array<Json>, _>(texts),
            Self::Times(times) => out.push_bind_param::<Array<Timestamptz>, _>(times),
        }
    }
}
