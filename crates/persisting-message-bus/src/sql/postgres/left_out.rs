//! Finds out why an INSERT has inserted fewer rows than it was given, without an error: messages are
//! there already, or the database has dropped them.

use diesel::pg::Pg;
use diesel::result::QueryResult;

use crate::error::Error;
use crate::message::raw::RawMessage;
use crate::sql::dialect::Statement;
use crate::sql::dialect::Value::Text;
use crate::sql::executor::Executor;
use crate::sql::postgres::fitness::{no_unique_index, rules, triggers, unique_index};
use crate::sql::postgres::guard::trigger;
use crate::sql::postgres::publish_errors::not_persisted;
use crate::sql::postgres::sequence::temporary;
use crate::sql::schema::MessageTable;
use crate::store::repository::OnDuplicate;

/// Returns the first of the ids that is not in the table, or not visible. The value of the statement
/// is the ids, separated by commas.
const FIRST_MISSING: &str = "
    SELECT wanted.id::pg_catalog.text
    FROM pg_catalog.unnest(pg_catalog.string_to_array(?, ',')::pg_catalog.uuid[])
        WITH ORDINALITY AS wanted(id, number)
    WHERE NOT EXISTS (
        SELECT FROM {table} WHERE {table}.{message_id} OPERATOR(pg_catalog.=) wanted.id)
    ORDER BY number LIMIT 1";

/// Describes the table. The values are the column of message ids and the table.
const DESCRIPTION: &str = concat!(
    "SELECT relpersistence::pg_catalog.text, (
        SELECT pg_catalog.string_agg(pg_catalog.quote_ident(tgname), ', ') ",
    triggers!(),
    "), (
        SELECT pg_catalog.string_agg(pg_catalog.quote_ident(rulename), ', ') ",
    rules!(),
    "), relrowsecurity::integer, (EXISTS (",
    unique_index!(),
    "))::integer
    FROM (
        SELECT oid AS of_table, relpersistence, relrowsecurity FROM pg_catalog.pg_class
        WHERE pg_class.oid OPERATOR(pg_catalog.=)
            pg_catalog.quote_ident(?)::pg_catalog.regclass
    ) AS described"
);

/// Checks messages of which some were not inserted.
///
/// # Errors
///
/// If a message is not there, and if one is there that must not be there.
pub(super) async fn check<E>(
    executor: &mut E,
    table: &MessageTable,
    messages: &[RawMessage],
    duplicates: OnDuplicate,
) -> Result<(), Error>
where
    E: Executor<Backend = Pg>,
{
    let failed = |cause| not_persisted(table, cause, messages);
    let missing = first_missing(executor, table, messages).await;
    let missing = missing.map_err(failed)?;
    match (missing, messages) {
        (Some(message), _) => {
            let reason = reason(executor, table).await.map_err(failed)?;
            Err(Error::dropped_by_database(message, &reason))
        }
        (None, [message, ..]) if duplicates == OnDuplicate::Fail => {
            Err(Error::duplicate_message(message))
        }
        (None, _) => Ok(()),
    }
}

/// Returns the first of the messages that is not there.
pub(super) async fn first_missing<'a, E>(
    executor: &mut E,
    table: &MessageTable,
    messages: &'a [RawMessage],
) -> QueryResult<Option<&'a RawMessage>>
where
    E: Executor<Backend = Pg>,
{
    let ids: Vec<_> = messages
        .iter()
        .map(|message| message.message_id.to_string())
        .collect();
    let ids = ids.join(",");
    let statement = Statement::new(FIRST_MISSING, table, [Text(&ids)]);
    let missing = executor.first_row(statement, |[id]| id.uuid("message_id"));
    let missing = missing.await?;
    Ok(messages
        .iter()
        .find(|message| Some(message.message_id) == missing))
}

/// Returns the reason why the table has not stored a row, as far as it can be told.
async fn reason<E>(executor: &mut E, table: &MessageTable) -> QueryResult<String>
where
    E: Executor<Backend = Pg>,
{
    let values = [Text(&table.message_id), Text(&table.table)];
    let statement = Statement::new(DESCRIPTION, table, values);
    let reasons = executor.first_row(
        statement,
        |[persistence, triggers, rules, is_secured, has_index]| {
            let mut reasons = Vec::new();
            if persistence.text("relpersistence")? == "t" {
                reasons.push(temporary(table));
            }
            if has_index.integer("indisunique")? == 0 {
                reasons.push(no_unique_index(table));
            }
            if let Some(rules) = rules.optional_text("rulename")? {
                let drop = "it has rules for INSERT: use triggers that return the row instead of";
                reasons.push(format!("{drop} {rules}"));
            }
            if let Some(triggers) = triggers.optional_text("tgname")? {
                let keep =
                    "one of these triggers may return NULL, which drops the row, and must not";
                reasons.push(format!("{keep}: {triggers}"));
            }
            if is_secured.integer("relrowsecurity")? != 0 {
                let show = "a row-level security policy may hide the row from this role";
                reasons.push(format!("{show}: let it SELECT all messages"));
            }
            Ok(reasons)
        },
    );
    Ok(reasons.await?.unwrap_or_default().join("; "))
}
