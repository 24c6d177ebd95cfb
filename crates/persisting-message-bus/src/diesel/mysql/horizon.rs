//! How readers know what can still be committed: the readers' part. See `slots.rs`.

use std::thread;
use std::time::Duration;

use diesel::connection::LoadConnection;
use diesel::mysql::Mysql;
use diesel::result::Error::DeserializationError;
use diesel::result::QueryResult;

use super::last::{Last, name_run};
use super::server::Server;
use super::slots::{SLOTS, create_without_waiting, is_marked};
use crate::diesel::TableSchema;
use crate::diesel::error::failed_while;
use crate::diesel::rows::with_columns;
use crate::diesel::schema::PublisherSlotsTable;
use crate::diesel::statement::Statement;
use crate::diesel::statement::Value::Text;
use crate::diesel::transactions::is_in_transaction;
use crate::{Error, Position, Sightings};

pub(super) fn horizon<C>(
    connection: &mut C,
    schema: &TableSchema,
    topic: &str,
    sightings: &mut Sightings,
) -> Result<Position, Error>
where
    C: LoadConnection<Backend = Mysql>,
{
    let doing = || format!("looking how far topic \"{topic}\" can be read");
    if is_in_transaction(connection) {
        let problem = "a transaction does not see what others commit meanwhile: read messages \
                       outside of it";
        return Err(Error::repository(doing(), problem, false));
    }
    // Who looks for the first time gets an answer as soon as each slot was free once.
    for _ in 0..20 {
        let horizon = look(connection, schema, topic, sightings, &doing)?;
        if sightings.are_complete() {
            return Ok(horizon);
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(Position::START)
}

fn look<C>(
    connection: &mut C,
    schema: &TableSchema,
    topic: &str,
    sightings: &mut Sightings,
    doing: &dyn Fn() -> String,
) -> Result<Position, Error>
where
    C: LoadConnection<Backend = Mysql>,
{
    let failed = |cause| failed_while(doing(), cause);
    let refused = |problem: String| Error::repository(doing(), problem, false);
    let mut last = Last::read(connection, &schema.messages).map_err(failed)?;
    let server = last.server().map_err(refused)?;
    if last.run.is_none() {
        name_run(connection, &schema.messages, server).map_err(failed)?;
        last = Last::read(connection, &schema.messages).map_err(failed)?;
    }
    let source = last.source().map_err(refused)?;
    let slots = &schema.publisher_slots;
    let free = free(connection, slots, server, topic).map_err(failed)?;
    if free.is_empty() {
        // Publishers of other programs may have been the only ones so far.
        is_marked(connection, slots, topic)
            .and_then(|is_marked| {
                if is_marked {
                    return Ok(());
                }
                create_without_waiting(connection, slots, topic)
            })
            .map_err(failed)?;
    }
    let last_position = Position::new(last.position);
    Ok(sightings.look(&source, last_position, 0..SLOTS, free))
}

/// The slots that no publisher holds.
fn free<C>(
    connection: &mut C,
    table: &PublisherSlotsTable,
    server: Server,
    topic: &str,
) -> QueryResult<Vec<i64>>
where
    C: LoadConnection<Backend = Mysql>,
{
    let lock = server.lock_in_share_mode();
    let sql =
        format!("SELECT {{slot}} FROM {{table}} WHERE {{topic}} = ? AND {{slot}} >= 0 {lock}");
    let rows = connection.load(Statement::new(sql, table, [Text(topic)]))?;
    let slots = rows.map(|row| with_columns(&row?, |[slot]| Ok(slot.integer("slot"))));
    slots
        .map(|slot: QueryResult<_>| slot?.map_err(|broken| DeserializationError(Box::new(broken))))
        .collect()
}
