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
use crate::sql::guard::{guarding, missing_on, name_for, refuse_in_transaction, unguarding};
use crate::sql::mysql::database::quoted;
use crate::sql::mysql::free_slots::LACKS_SLOTS;
use crate::sql::mysql::server::Server;
use crate::sql::mysql::slots::{SLOTS, version};
use crate::sql::rows::first_row;
use crate::sql::schema::{MessageTable, TableSchema};

/// Waiting for publishers is limited, because later publishers wait meanwhile.
const WAIT_BRIEFLY: &str =
    "SET @persisting_message_bus_wait = @@lock_wait_timeout, lock_wait_timeout = 10";
const WAIT_AS_BEFORE: &str = "SET lock_wait_timeout = @persisting_message_bus_wait";

/// The modes with which the trigger runs, whichever modes the session has that inserts.
const MODES: &str = "SET @persisting_message_bus_modes = @@sql_mode,
    sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION'";
const MODES_AS_BEFORE: &str = "SET sql_mode = @persisting_message_bus_modes";

/// Takes a slot, or creates the slots of a new topic, as `slots.rs` does. A trigger cannot pause, so
/// if all slots are taken, it waits for one of them. InnoDB sees that wait, so it finds deadlocks.
///
/// In a trigger, the server opens a table once for each alias, with the strongest lock that any
/// statement asks for. So reading the mark, searching with SKIP LOCKED, and waiting have an alias
/// each. The mark is read by a statement of its own that is a SELECT: in another statement, and for
/// a condition of the search, the server would lock the mark, or the place where it is missing.
///
/// Two rows are of the same statement if the statement began at the same time and the last position
/// that the session knows is the same. A session whose clock stands still can be mistaken there only
/// after a failed statement, and is refused wrongly then, not let through: the slot is taken for
/// each row of other programs.
const BODY: &str = "guard: BEGIN
    DECLARE new_topic VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NEW.{topic};
    DECLARE this_statement VARCHAR(64) CHARACTER SET ascii
        DEFAULT concat(now(6), ' ', last_insert_id());
    DECLARE own_slot INT DEFAULT connection_id() % 64;
    DECLARE taken INT;
    DECLARE marks INT;
    DECLARE created_before BOOLEAN DEFAULT FALSE;
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
    SELECT count(*) INTO marks FROM {slots} AS mark
        WHERE mark.{slots.topic} = new_topic AND mark.{slot} = -1;
    IF marks > 0 THEN
        SET taken = (SELECT {slot} FROM {slots} AS free
                WHERE {slots.topic} = new_topic AND {slot} >= own_slot
                ORDER BY {slot} LIMIT 1 FOR UPDATE SKIP LOCKED);
        IF taken IS NULL THEN
            SET taken = (SELECT {slot} FROM {slots} AS free
                WHERE {slots.topic} = new_topic AND {slot} >= 0 AND {slot} < own_slot
                ORDER BY {slot} LIMIT 1 FOR UPDATE SKIP LOCKED);
        END IF;
    ELSE
        SET taken = (SELECT {slot} FROM {slots} AS awaited
            WHERE {slots.topic} = '' AND {slot} = crc32(new_topic) % 64 FOR UPDATE);
        SET taken = NULL;
        BEGIN
            DECLARE CONTINUE HANDLER FOR 1062 SET created_before = TRUE;
            INSERT INTO {slots} ({slots.topic}, {slot}) VALUES (new_topic, -1);
        END;
        IF NOT created_before THEN
            INSERT INTO {slots} ({slots.topic}, {slot}) VALUES {all_slots};
        END IF;
    END IF;
    IF taken IS NULL THEN
        SET taken = (SELECT {slot} FROM {slots} AS awaited
            WHERE {slots.topic} = new_topic AND {slot} = own_slot FOR UPDATE);
    END IF;
    IF taken IS NULL THEN
        SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT =
            'inserting a message failed: {lacks_slots}';
    END IF;
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
    let slots = &schema.publisher_slots;
    let all_slots: Vec<_> = (0..SLOTS)
        .map(|slot| format!("(new_topic, {slot})"))
        .collect();
    BODY.replace("{all_slots}", &all_slots.join(", "))
        .replace("{lacks_slots}", LACKS_SLOTS)
        .replace("{id}", &quoted(&schema.messages.id))
        .replace("{topic}", &quoted(&schema.messages.topic))
        .replace("{slots}", &quoted(&slots.table))
        .replace("{slots.topic}", &quoted(&slots.topic))
        .replace("{slot}", &quoted(&slots.slot))
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
