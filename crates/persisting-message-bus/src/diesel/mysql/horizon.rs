//! How readers know what can still be committed: the readers' part. See `slots.rs`.

use std::thread;
use std::time::Duration;

use diesel::connection::LoadConnection;
use diesel::mysql::Mysql;
use diesel::result::Error::{DeserializationError, NotFound};
use diesel::result::QueryResult;

use super::server::Server;
use super::slots::{SLOTS, create_without_waiting, is_marked};
use crate::diesel::error::failed_while;
use crate::diesel::rows::{first_row, with_columns};
use crate::diesel::schema::PublisherSlotsTable;
use crate::diesel::statement::Statement;
use crate::diesel::statement::Value::Text;
use crate::diesel::transactions::is_in_transaction;
use crate::diesel::{MessageTable, TableSchema};
use crate::{Error, Position, Sightings};

const LAST: &str = "
    SELECT coalesce((SELECT max({id}) FROM {table}), 0), version(), CAST(@@read_only AS CHAR),
        CAST(@@autocommit AS SIGNED), concat(@@hostname, ':', @@port, '/', database(), '/', ?)";

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
    let last = last(connection, &schema.messages).map_err(|cause| failed_while(doing(), cause))?;
    let server = last.server();
    let server = server.map_err(|problem| Error::repository(doing(), problem, false))?;
    let slots = &schema.publisher_slots;
    let free =
        free(connection, slots, server, topic).map_err(|cause| failed_while(doing(), cause))?;
    if free.is_empty() {
        // Publishers of other programs may have been the only ones so far.
        is_marked(connection, slots, topic)
            .and_then(|is_marked| {
                if is_marked {
                    return Ok(());
                }
                create_without_waiting(connection, slots, topic)
            })
            .map_err(|cause| failed_while(doing(), cause))?;
    }
    let last_position = Position::new(last.position);
    Ok(sightings.look(&last.source, last_position, 0..SLOTS, free))
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

/// What is read of the message table, and of the server.
struct Last {
    position: i64,
    version: String,
    read_only: String,
    autocommit: bool,
    /// Which table of which server it is.
    source: String,
}

fn last<C>(connection: &mut C, table: &MessageTable) -> QueryResult<Last>
where
    C: LoadConnection<Backend = Mysql>,
{
    let last = first_row(
        connection,
        Statement::new(LAST, table, [Text(&table.table)]),
        |[position, version, read_only, autocommit, source]| {
            Ok(Last {
                position: position.integer("id")?,
                version: version.text("version")?.to_owned(),
                read_only: read_only.text("read_only")?.to_owned(),
                autocommit: autocommit.integer("autocommit")? != 0,
                source: source.text("source")?.to_owned(),
            })
        },
    );
    last?.ok_or(NotFound)
}

impl Last {
    /// The server, or why messages cannot be read from it.
    fn server(&self) -> Result<Server, String> {
        if !["0", "OFF"].contains(&self.read_only.as_str()) {
            return Err(
                "this server is read_only: a replica does not see the locks of the primary's \
                 publishers, read from the primary"
                    .to_owned(),
            );
        }
        if !self.autocommit {
            return Err(
                "this session has autocommit = 0, so that it does not see what others \
                        commit meanwhile: set it to 1"
                    .to_owned(),
            );
        }
        Server::of(&self.version)
    }
}
