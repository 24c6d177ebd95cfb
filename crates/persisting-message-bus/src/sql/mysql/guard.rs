//! The guard of foreign inserts: a trigger that takes a slot before each row is given its position.
//!
//! A position is drawn after the triggers of the first row have run, for as many rows of the
//! statement as the server expects. So the slot of a statement's first row covers its other rows, if
//! they are of the same topic. The trigger refuses rows of another topic.
//!
//! The statements of this library leave the topic to the trigger: see `publish_guarded.rs`.

use diesel::connection::LoadConnection;
use diesel::mysql::Mysql;
use diesel::result::QueryResult;

use crate::error::Error;
use crate::sql::dialect::Statement;
use crate::sql::dialect::Value::Text;
use crate::sql::error::failed_while;
use crate::sql::executor::now;
use crate::sql::executor::on_sync::OnSync;
use crate::sql::fill::fill;
use crate::sql::guard::{guarding, missing_on, name_for, refuse_in_transaction, unguarding};
use crate::sql::mysql::database::quoted;
use crate::sql::mysql::server::Server;
use crate::sql::mysql::slot_in_program::{SLOT_VARIABLES, create_slots, take_slot};
use crate::sql::mysql::slots::version;
use crate::sql::rows::first_row;
use crate::sql::schema::{MessageTable, TableSchema};

/// Waiting for publishers is limited, because later publishers wait meanwhile.
const WAIT_BRIEFLY: &str =
    "SET @persisting_message_bus_wait = @@lock_wait_timeout, lock_wait_timeout = 10";
const WAIT_AS_BEFORE: &str = "SET lock_wait_timeout = @persisting_message_bus_wait";

/// The modes with which a trigger or procedure runs, whichever modes the session has that calls it.
pub(super) const MODES: &str = "SET @persisting_message_bus_modes = @@sql_mode,
    sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION'";
pub(super) const MODES_AS_BEFORE: &str = "SET sql_mode = @persisting_message_bus_modes";

/// Takes a slot for the first row of a statement: see `slot_in_program.rs`.
///
/// Two rows are of the same statement if the statement began at the same time and the last position
/// that the session knows is the same. A session whose clock stands still can be mistaken there only
/// after a failed statement, and is refused wrongly then, not let through: the slot is taken for
/// each row of other programs.
const BODY: &str = "guard: BEGIN
    DECLARE new_topic VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NEW.{topic};
    DECLARE this_statement VARCHAR(64) CHARACTER SET ascii
        DEFAULT concat(now(6), ' ', last_insert_id());
    {slot_variables}
    IF NEW.{id} <> 0 THEN
        SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT =
            'inserting a message failed: it has a position already; leave the position to the database';
    END IF;
    IF new_topic IS NULL THEN
        IF @persisting_message_bus_topic IS NULL THEN
            SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'inserting a message failed: its topic is NULL';
        END IF;
        SET new_topic = @persisting_message_bus_topic, NEW.{topic} = new_topic;
        IF @persisting_message_bus_rows > 0 THEN
            SET @persisting_message_bus_rows = @persisting_message_bus_rows - 1, taken = own_slot;
        ELSE
            SET @persisting_message_bus_rows = -@persisting_message_bus_rows - 1;
        END IF;
        IF @persisting_message_bus_rows = 0 THEN
            SET @persisting_message_bus_topic = NULL;
        END IF;
        IF taken IS NOT NULL THEN
            LEAVE guard;
        END IF;
    ELSEIF this_statement = @persisting_message_bus_statement
        AND new_topic <> @persisting_message_bus_topic_of_statement THEN
        SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT =
            'inserting messages failed: one statement has several topics; insert each topic with its own';
    ELSE
        SET @persisting_message_bus_statement = this_statement,
            @persisting_message_bus_topic_of_statement = new_topic;
    END IF;
    {create_slots}
    {take_slot}
END";

/// Returns the statement that [`guard_foreign_inserts`](crate::sql::guard_foreign_inserts) runs
/// where there is no guard, for migrations in SQL. It creates the trigger.
///
/// Run it in a session with `STRICT_TRANS_TABLES`. The command-line clients need another `DELIMITER`
/// for it, because it contains semicolons.
#[must_use]
pub fn guard_statements(schema: &TableSchema) -> Vec<String> {
    vec![create_trigger(&schema.messages, &body(schema))]
}

/// Returns the statement. Only MariaDB reads the comment.
fn create_trigger(table: &MessageTable, body: &str) -> String {
    format!(
        "CREATE /*M! OR REPLACE */ TRIGGER {} BEFORE INSERT ON {} FOR EACH ROW {body}",
        quoted(&name_for(table)),
        quoted(&table.table)
    )
}

fn body(schema: &TableSchema) -> String {
    fill(BODY, |key| {
        Some(match key {
            "id" => quoted(&schema.messages.id),
            "topic" => quoted(&schema.messages.topic),
            "slot_variables" => SLOT_VARIABLES.to_owned(),
            "create_slots" => create_slots(&schema.publisher_slots),
            "take_slot" => take_slot(&schema.publisher_slots),
            _ => return None,
        })
    })
}

pub(super) fn guard<C>(connection: &mut C, schema: &TableSchema) -> Result<(), Error>
where
    C: LoadConnection<Backend = Mysql> + 'static,
{
    let table = &schema.messages;
    let doing = guarding(table);
    refuse_in_transaction(&mut OnSync(connection), &doing)?;
    let failed = |cause| failed_while(doing.as_str(), cause);
    let former = installed(connection, table).map_err(failed)?;
    if former == Some(body(schema)) {
        return Ok(());
    }
    if topic_can_be_null(connection, table).map_err(failed)? {
        let problem = format!(
            "the column \"{}\" can be null, so a message without a topic would be stored: make it NOT \
             NULL",
            table.topic
        );
        return Err(Error::permanent(doing, problem));
    }
    let installed = exclusively(connection, table, |connection| {
        connection.batch_execute(MODES)?;
        let installed = create_or_replace(connection, table, &body(schema), former.as_deref());
        installed.and(connection.batch_execute(MODES_AS_BEFORE))
    });
    installed.map_err(failed)
}

/// Creates the trigger in place of a former one. MariaDB does this with one statement. MySQL needs
/// two. If the second one fails, the former trigger is created again.
fn create_or_replace<C>(
    connection: &mut C,
    table: &MessageTable,
    body: &str,
    former: Option<&str>,
) -> QueryResult<()>
where
    C: LoadConnection<Backend = Mysql> + 'static,
{
    let replaces_at_once = matches!(
        now(version(&mut OnSync(connection), table)).map(|version| Server::of(&version)),
        Ok(Ok(Server::Mariadb))
    );
    let Some(former) = former.filter(|_| !replaces_at_once) else {
        return connection.batch_execute(&create_trigger(table, body));
    };
    connection.batch_execute(&drop_trigger(table))?;
    connection
        .batch_execute(&create_trigger(table, body))
        .inspect_err(|_| {
            // The first error matters more. A lost connection leaves the table without a trigger.
            let _second = connection.batch_execute(&create_trigger(table, former));
        })
}

pub(super) fn unguard<C>(connection: &mut C, schema: &TableSchema) -> Result<(), Error>
where
    C: LoadConnection<Backend = Mysql> + 'static,
{
    let table = &schema.messages;
    let doing = unguarding(table);
    refuse_in_transaction(&mut OnSync(connection), &doing)?;
    let removed = exclusively(connection, table, |connection| {
        connection.batch_execute(&drop_trigger(table))
    });
    removed.map_err(|cause| failed_while(doing, cause))
}

/// Returns the problem, if the table has no guard that the session can see.
pub(super) fn problem<C>(connection: &mut C, table: &MessageTable) -> QueryResult<Option<String>>
where
    C: LoadConnection<Backend = Mysql> + 'static,
{
    let is_visible = installed(connection, table)?.is_some();
    Ok((!is_visible).then(|| {
        format!(
            "{}; if the trigger exists, GRANT TRIGGER ON the table to this user, who cannot see it",
            missing_on(table)
        )
    }))
}

/// Runs statements while no transaction uses the table: the lock waits for those that have inserted
/// rows, and later ones wait for the lock.
fn exclusively<C>(
    connection: &mut C,
    table: &MessageTable,
    change: impl FnOnce(&mut C) -> QueryResult<()>,
) -> QueryResult<()>
where
    C: LoadConnection<Backend = Mysql> + 'static,
{
    connection.batch_execute(WAIT_BRIEFLY)?;
    let lock = format!("LOCK TABLES {} WRITE", quoted(&table.table));
    let changed = connection.batch_execute(&lock).and_then(|()| {
        let changed = change(connection);
        changed.and(connection.batch_execute("UNLOCK TABLES"))
    });
    changed.and(connection.batch_execute(WAIT_AS_BEFORE))
}

/// Returns the body of the table's trigger.
fn installed<C>(connection: &mut C, table: &MessageTable) -> QueryResult<Option<String>>
where
    C: LoadConnection<Backend = Mysql> + 'static,
{
    let sql = "SELECT action_statement FROM information_schema.triggers
        WHERE trigger_schema = database() AND event_object_schema = database()
            AND event_object_table = ? AND trigger_name = ?";
    let name = name_for(table);
    let statement = Statement::new(sql, table, [Text(&table.table), Text(&name)]);
    first_row(connection, statement, |[body]| {
        body.text("action_statement").map(str::to_owned)
    })
}

fn topic_can_be_null<C>(connection: &mut C, table: &MessageTable) -> QueryResult<bool>
where
    C: LoadConnection<Backend = Mysql> + 'static,
{
    let sql = "SELECT is_nullable = 'YES' FROM information_schema.columns
        WHERE table_schema = database() AND table_name = ? AND column_name = ?";
    let statement = Statement::new(sql, table, [Text(&table.table), Text(&table.topic)]);
    let is_nullable = first_row(connection, statement, |[is_nullable]| {
        is_nullable.integer("is_nullable")
    });
    // LOCK TABLES names a table that does not exist.
    Ok(is_nullable? == Some(1))
}

fn drop_trigger(table: &MessageTable) -> String {
    format!("DROP TRIGGER IF EXISTS {}", quoted(&name_for(table)))
}
