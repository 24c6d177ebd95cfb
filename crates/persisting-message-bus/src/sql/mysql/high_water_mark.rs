//! How readers determine which messages can still be committed: the readers' part. For the
//! publishers' part, see `slots.rs`.

use std::thread;
use std::time::Duration;

use diesel::connection::LoadConnection;
use diesel::mysql::Mysql;
use diesel::result::Error::DeserializationError;
use diesel::result::QueryResult;

use crate::classify::chain::class_of_cause;
use crate::error::Error;
use crate::error::class::Class;
use crate::position::Position;
use crate::sql::dialect::Statement;
use crate::sql::dialect::Value::Text;
use crate::sql::error::failed_while;
use crate::sql::executor::now;
use crate::sql::executor::on_sync::OnSync;
use crate::sql::mysql::guard;
use crate::sql::mysql::last::Last;
use crate::sql::mysql::server::Server;
use crate::sql::mysql::session::ask;
use crate::sql::mysql::slots::{SLOTS, create_without_waiting, is_marked};
use crate::sql::own_transactions::is_in_transaction;
use crate::sql::prepared::loaded;
use crate::sql::rows::with_columns;
use crate::sql::schema::PublisherSlotsTable;
use crate::sql::schema::TableSchema;
use crate::store::slot_observations::SlotObservations;

pub(super) fn high_water_mark<C>(
    connection: &mut C,
    schema: &TableSchema,
    topic: &str,
    observations: &mut SlotObservations,
) -> Result<Position, Error>
where
    C: LoadConnection<Backend = Mysql> + 'static,
{
    let doing = || format!("reading the high-water mark of topic \"{topic}\"");
    if is_in_transaction(&mut OnSync(connection)) {
        let problem = "a transaction does not see concurrent commits: read messages outside of it. To \
            isolate a test, give it a database of its own in place of a test transaction";
        return Err(Error::permanent(doing(), problem));
    }
    // A new reader gets an answer as soon as it has seen each slot free once.
    for _ in 0..20 {
        let high_water_mark = look(connection, schema, topic, observations, &doing)?;
        if observations.is_complete() {
            return Ok(high_water_mark);
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(Position::START)
}

fn look<C>(
    connection: &mut C,
    schema: &TableSchema,
    topic: &str,
    observations: &mut SlotObservations,
    doing: &dyn Fn() -> String,
) -> Result<Position, Error>
where
    C: LoadConnection<Backend = Mysql> + 'static,
{
    let failed = |cause| failed_while(doing(), cause);
    let refused = |problem: String| Error::permanent(doing(), problem);
    let before = observations.last().position;
    let mut last = Last::read(connection, &schema.messages, before).map_err(failed)?;
    let server = last.server().map_err(refused)?;
    if last.needs_answers() {
        if schema.has_foreign_inserts
            && let Some(problem) = guard::problem(connection, &schema.messages).map_err(failed)?
        {
            return Err(refused(problem));
        }
        ask(connection, server).map_err(failed)?;
        last = Last::read(connection, &schema.messages, before).map_err(failed)?;
    }
    let source = last.source(schema).map_err(refused)?;
    let slots = &schema.publisher_slots;
    let free = free_unless_disturbed(connection, slots, server, topic).map_err(failed)?;
    if free.is_empty() {
        // The topic has no slots if only programs that do not use this library have published on
        // it.
        let publisher = &mut OnSync(connection);
        if !now(is_marked(publisher, slots, topic)).map_err(failed)? {
            now(create_without_waiting(publisher, slots, topic)).map_err(failed)?;
        }
    }
    Ok(observations.look(&source, last.last, last.id_before, 0..SLOTS, free))
}

/// Returns the slots that no publisher holds. While the statement passes over a locked slot, InnoDB
/// can take the reader for a member of a deadlock of publishers, and end the statement.
fn free_unless_disturbed<C>(
    connection: &mut C,
    table: &PublisherSlotsTable,
    server: Server,
    topic: &str,
) -> QueryResult<Vec<i64>>
where
    C: LoadConnection<Backend = Mysql> + 'static,
{
    for _ in 0..10 {
        match free(connection, table, server, topic) {
            Err(cause) if class_of_cause(&cause) == Class::Transient => {}
            slots => return slots,
        }
    }
    free(connection, table, server, topic)
}

/// Returns the slots that no publisher holds.
fn free<C>(
    connection: &mut C,
    table: &PublisherSlotsTable,
    server: Server,
    topic: &str,
) -> QueryResult<Vec<i64>>
where
    C: LoadConnection<Backend = Mysql> + 'static,
{
    let lock = server.lock_in_share_mode();
    let sql =
        format!("SELECT {{slot}} FROM {{table}} WHERE {{topic}} = ? AND {{slot}} >= 0 {lock}");
    let read = |connection: &mut C| {
        let rows = connection.load(Statement::new(sql, table, [Text(topic)]))?;
        let slots = rows.map(|row| with_columns(&row?, |[slot]| Ok(slot.integer("slot"))));
        slots
            .map(|slot: QueryResult<_>| {
                slot?.map_err(|broken| DeserializationError(Box::new(broken)))
            })
            .collect()
    };
    let slots = read(connection);
    loaded(connection, slots)
}
