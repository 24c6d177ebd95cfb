//! Many messages in one statement, whose text is always the same.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use diesel::pg::Pg;
use diesel::query_builder::AstPass;
use diesel::result::QueryResult;
use diesel::sql_types::{Array, BigInt, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use super::fence::hash_of;
use super::json::{Json, JsonText};
use crate::RawMessage;
use crate::diesel::MessageTable;
use crate::diesel::statement::{BindTo, Statement};

/// The most rows of a statement.
pub(super) const MOST_ROWS: usize = 5_000;

/// Takes the locks that the transaction does not hold yet: a setting that is local to the
/// transaction remembers them, and is undone with a savepoint as they are. The values: the table, its
/// column of positions, the topics' hashes.
const FENCE: &str = "
    WITH sequence AS MATERIALIZED (
        SELECT coalesce(
            pg_get_serial_sequence(quote_ident(name.of_table), name.of_column),
            quote_ident('the sequence of ' || name.of_table || '.' || name.of_column)
        )::regclass AS id
        FROM (SELECT ? AS of_table, ? AS of_column) AS name
    ), lock AS MATERIALIZED (
        SELECT class, 'persisting_message_bus.fence_' || to_hex(class) AS setting,
            (coalesce(pg_sequence_last_value(id), 0) & 2147483647)::integer AS last
        FROM sequence, unnest(?) AS topic,
            LATERAL (SELECT (topic # id::oid::bigint)::bit(32)::integer AS class) AS of_topic
    ), fence AS MATERIALIZED (
        SELECT count(CASE current_setting(setting, true)
            WHEN 'held' THEN ''
            ELSE pg_advisory_xact_lock_shared(class, last)::text
                || set_config(setting, 'held', true)
        END) AS held
        FROM lock
    )";

/// Rows are made behind the condition, and positions are drawn for rows: behind the fence. Without a
/// table to read from, a row is made and stored at a time, in the arrays' order.
const BEHIND_FENCE: &str = "WHERE (SELECT held FROM fence) > 0";

/// What is bound: a name, or a column of all rows.
pub(super) enum Column<'a> {
    Name(&'a str),
    Numbers(Vec<i64>),
    Uuids(Vec<Uuid>),
    Texts(Vec<&'a str>),
    OptionalTexts(Vec<Option<&'a str>>),
    Json(Vec<JsonText<'a>>),
    Times(Vec<DateTime<Utc>>),
}

/// Inserts the messages; one whose id is taken is left out or makes the statement fail.
pub(super) fn insert_messages<'a>(
    table: &'a MessageTable,
    messages: &'a [RawMessage],
    leave_out_taken: bool,
) -> Statement<'a, Column<'a>> {
    let (version, of_version) = match table.message_version {
        Some(_) => (", {message_version}", ", unnest(?)"),
        None => ("", ""),
    };
    let (flow, of_flow) = match table.correlation_id {
        Some(_) => (", {correlation_id}", ", unnest(?)"),
        None => ("", ""),
    };
    let conflict = if leave_out_taken {
        "ON CONFLICT ({message_id}) DO NOTHING"
    } else {
        ""
    };
    let sql = format!(
        "{FENCE} INSERT INTO {{table}} ({{message_id}}, {{topic}}, {{message_type}}, {{payload}}, \
         {{headers}}, {{published_at}}{version}{flow}) \
         SELECT unnest(?), unnest(?), unnest(?), unnest(?), unnest(?), unnest(?)\
         {of_version}{of_flow} {BEHIND_FENCE} {conflict}"
    );
    let topics: BTreeSet<_> = messages.iter().map(|message| &message.topic).collect();
    let hashes = topics.iter().map(|topic| i64::from(hash_of(topic)));
    let names = [&table.table, &table.id].map(|name| Column::Name(name));
    let values = names.into_iter().chain([Column::Numbers(hashes.collect())]);
    let version = table.message_version.as_ref().map(|_| versions(messages));
    let flow = table.correlation_id.as_ref().map(|_| flows(messages));
    let values = values.chain(columns(messages)).chain(version).chain(flow);
    Statement::new(sql, table, values)
}

fn columns(messages: &[RawMessage]) -> [Column<'_>; 6] {
    let texts = |text: fn(&RawMessage) -> &str| Column::Texts(messages.iter().map(text).collect());
    let json = |text: fn(&RawMessage) -> &str| {
        let texts = messages.iter().map(|message| JsonText(text(message)));
        Column::Json(texts.collect())
    };
    let times = messages.iter().map(|message| message.published_at);
    [
        Column::Uuids(messages.iter().map(|message| message.message_id).collect()),
        texts(|message| &message.topic),
        texts(|message| &message.message_type),
        json(|message| &message.payload),
        json(|message| &message.headers),
        Column::Times(times.collect()),
    ]
}

fn versions(messages: &[RawMessage]) -> Column<'_> {
    let versions = messages
        .iter()
        .map(|message| i64::from(message.message_version));
    Column::Numbers(versions.collect())
}

fn flows(messages: &[RawMessage]) -> Column<'_> {
    let flows = messages
        .iter()
        .map(|message| message.correlation_id.as_deref());
    Column::OptionalTexts(flows.collect())
}

impl BindTo<Pg> for Column<'_> {
    fn bind<'b>(&'b self, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        match self {
            Self::Name(name) => out.push_bind_param::<Text, str>(name),
            Self::Numbers(numbers) => out.push_bind_param::<Array<BigInt>, _>(numbers),
            Self::Uuids(uuids) => out.push_bind_param::<Array<SqlUuid>, _>(uuids),
            Self::Texts(texts) => out.push_bind_param::<Array<Text>, _>(texts),
            Self::OptionalTexts(texts) => out.push_bind_param::<Array<Nullable<Text>>, _>(texts),
            Self::Json(texts) => out.push_bind_param::<Array<Json>, _>(texts),
            Self::Times(times) => out.push_bind_param::<Array<Timestamptz>, _>(times),
        }
    }
}
