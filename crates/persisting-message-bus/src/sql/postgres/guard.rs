//! The guard of foreign inserts: a trigger that takes the fence for each row that is inserted, and
//! draws the row's position after that.
//!
//! The position that the row has already is not used, although the fence may have been held when it
//! was drawn. The server computes the default of a column before it calls the row's triggers, and
//! some plans compute the defaults of all rows before they store the first one. So the trigger
//! cannot know that a position was drawn after the fence, or even that it was drawn and not given.

use diesel::connection::LoadConnection;
use diesel::pg::Pg;
use diesel::result::QueryResult;

use crate::error::Error;
use crate::sql::dialect::Statement;
use crate::sql::dialect::Value::Text;
use crate::sql::error::failed_while;
use crate::sql::executor::on_sync::OnSync;
use crate::sql::guard::{guarding, name_for, refuse_in_transaction, unguarding};
use crate::sql::postgres::migrations::LOCK;
use crate::sql::postgres::quoting::{quoted, quoted_text};
use crate::sql::postgres::topic_hash::HASH_NAME;
use crate::sql::rows::first_row;
use crate::sql::schema::{MessageTable, TableSchema};

/// The name of the trigger. Triggers run in the order of their names, and this one must see the
/// topic that other triggers may have set.
macro_rules! trigger {
    () => {
        "zz_message_bus_guard"
    };
}
pub(super) use trigger;

const TRIGGER: &str = trigger!();

/// Whether the table has the trigger, and it is enabled. Its value is the table.
pub(super) const IS_GUARDED: &str = concat!(
    "EXISTS (
        SELECT FROM pg_catalog.pg_trigger
        WHERE tgrelid OPERATOR(pg_catalog.=) pg_catalog.quote_ident(?)::pg_catalog.regclass
            AND tgname OPERATOR(pg_catalog.=) '",
    trigger!(),
    "'
            AND (tgenabled OPERATOR(pg_catalog.=) 'O' OR tgenabled OPERATOR(pg_catalog.=) 'A')
    )::integer"
);

/// Waiting for publishers is limited, because later publishers wait meanwhile.
const WAIT_BRIEFLY: &str = "SET LOCAL lock_timeout = '10s'";

/// Announces a row, as `publish_one.rs` does, and draws its position.
///
/// The transaction remembers its locks in the settings of `unnested_rows.rs`. Another setting, which
/// has the last topic as a text, saves hashing the topic of each row. A rollback to a savepoint
/// undoes the settings together with the locks.
const BODY: &str = "
DECLARE
    positions regclass := pg_get_serial_sequence(
        coalesce(pg_partition_root(tg_relid), tg_relid)::regclass::text, {id_text});
    announced text := positions::oid::text || ' ' || NEW.{topic};
    name bytea;
    hash bigint := 2166136261;
    fence text;
BEGIN
    IF positions IS NULL THEN
        RAISE EXCEPTION 'inserting a message failed: the column of positions of table % has no sequence '
            'of its own; make it an identity or a serial column', tg_relid::regclass;
    END IF;
    IF current_setting('persisting_message_bus.announced', true) IS DISTINCT FROM announced THEN
        name := convert_to(NEW.{topic}, 'UTF8');
        {hash_name}
        fence := 'persisting_message_bus.fence_' || to_hex((hash << 32) # positions::oid::bigint);
        IF current_setting(fence, true) IS DISTINCT FROM 'held' THEN
            PERFORM pg_advisory_xact_lock_shared((hash << 32) # (positions::oid::bigint << 40)
                # coalesce(pg_sequence_last_value(positions), 0));
            PERFORM set_config(fence, 'held', true);
        END IF;
        PERFORM set_config('persisting_message_bus.announced', announced, true);
    END IF;
    NEW.{id} := nextval(positions);
    RETURN NEW;
END";

/// Returns the statements that [`guard_foreign_inserts`](crate::sql::guard_foreign_inserts) runs
/// where there is no guard, for migrations in SQL. The first one creates the trigger's function, the
/// second one the trigger.
///
/// Run them as the owner of the table, with the table's schema first in the `search_path`.
/// PostgreSQL 14 or newer is needed.
#[must_use]
pub fn guard_statements(schema: &TableSchema) -> Vec<String> {
    let table = &schema.messages;
    vec![create_function(table, ""), create_trigger(table, "")]
}

/// Returns the statement; `qualifier` stands before names.
fn create_function(table: &MessageTable, qualifier: &str) -> String {
    let body = BODY
        .replace("{hash_name}", HASH_NAME)
        .replace("{id_text}", &quoted_text(&table.id))
        .replace("{id}", &quoted(&table.id))
        .replace("{topic}", &quoted(&table.topic));
    format!(
        "CREATE OR REPLACE FUNCTION {qualifier}{}() RETURNS trigger LANGUAGE plpgsql \
         SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS {}",
        quoted(&name_for(table)),
        quoted_text(&body)
    )
}

fn create_trigger(table: &MessageTable, qualifier: &str) -> String {
    format!(
        "CREATE OR REPLACE TRIGGER {TRIGGER} BEFORE INSERT ON {qualifier}{} FOR EACH ROW \
         EXECUTE FUNCTION {qualifier}{}()",
        quoted(&table.table),
        quoted(&name_for(table))
    )
}

pub(super) fn guard<C>(connection: &mut C, schema: &TableSchema) -> Result<(), Error>
where
    C: LoadConnection<Backend = Pg> + 'static,
{
    let table = &schema.messages;
    let doing = guarding(table);
    refuse_in_transaction(&mut OnSync(connection), &doing)?;
    let guarded = connection.transaction(|connection| {
        connection.batch_execute(LOCK)?;
        connection.batch_execute(WAIT_BRIEFLY)?;
        let qualifier = qualifier(connection, table)?;
        // Replacing the function locks no table.
        connection.batch_execute(&create_function(table, &qualifier))?;
        if !is_guarded(connection, table)? {
            // Waits for all transactions that have inserted rows.
            connection.batch_execute(&create_trigger(table, &qualifier))?;
        }
        Ok(())
    });
    guarded.map_err(|cause| failed_while(doing, cause))
}

pub(super) fn unguard<C>(connection: &mut C, schema: &TableSchema) -> Result<(), Error>
where
    C: LoadConnection<Backend = Pg> + 'static,
{
    let table = &schema.messages;
    let doing = unguarding(table);
    refuse_in_transaction(&mut OnSync(connection), &doing)?;
    let unguarded = connection.transaction(|connection| {
        connection.batch_execute(LOCK)?;
        connection.batch_execute(WAIT_BRIEFLY)?;
        let qualifier = qualifier(connection, table)?;
        connection.batch_execute(&format!(
            "DROP TRIGGER IF EXISTS {TRIGGER} ON {qualifier}{}; DROP FUNCTION IF EXISTS {qualifier}{}()",
            quoted(&table.table),
            quoted(&name_for(table))
        ))
    });
    unguarded.map_err(|cause| failed_while(doing, cause))
}

/// Returns the schema of the table, followed by a dot.
fn qualifier<C>(connection: &mut C, table: &MessageTable) -> QueryResult<String>
where
    C: LoadConnection<Backend = Pg> + 'static,
{
    let sql = "SELECT pg_catalog.quote_ident(nspname) OPERATOR(pg_catalog.||) '.'
        FROM pg_catalog.pg_class, pg_catalog.pg_namespace
        WHERE pg_namespace.oid OPERATOR(pg_catalog.=) relnamespace
            AND pg_class.oid OPERATOR(pg_catalog.=) pg_catalog.quote_ident(?)::pg_catalog.regclass";
    let statement = Statement::new(sql, table, [Text(&table.table)]);
    let schema = first_row(connection, statement, |[schema]| {
        schema.text("nspname").map(str::to_owned)
    });
    Ok(schema?.unwrap_or_default())
}

fn is_guarded<C>(connection: &mut C, table: &MessageTable) -> QueryResult<bool>
where
    C: LoadConnection<Backend = Pg> + 'static,
{
    let sql = format!("SELECT {IS_GUARDED}");
    let statement = Statement::new(sql, table, [Text(&table.table)]);
    let is_guarded = first_row(connection, statement, |[is_guarded]| {
        is_guarded.integer("pg_trigger")
    });
    Ok(is_guarded? == Some(1))
}
