//! How readers know what can still be committed.
//!
//! A topic has 64 slots, rows of a small table, numbered from 0. A publisher locks one of them before it draws its
//! first position, until its transaction ends. Nothing is written.
//!
//! A reader takes three steps, none of which may share a snapshot with another:
//!
//! 1. S, the highest committed position;
//! 2. which slots are free: it remembers S for these. The horizon is the lowest S of all slots, be
//!    they free now or remembered;
//! 3. in a snapshot of its own, the rows up to the horizon.
//!
//! Whoever drew a position up to S held its slot from before that. So in step 2 its slot is either
//! not free, and was last seen free at a lower S, or it has ended, and step 3 sees what it committed:
//! InnoDB makes a transaction visible before it releases its locks.

use std::borrow::Cow;
use std::ops::Range;
use std::thread;
use std::time::Duration;

use diesel::connection::LoadConnection;
use diesel::mysql::Mysql;
use diesel::result::Error::{DeserializationError, NotFound};
use diesel::result::QueryResult;

use super::server::Server;
use crate::diesel::error::{failed_while, is_retryable};
use crate::diesel::rows::{first_row, with_columns};
use crate::diesel::schema::PublisherSlotsTable;
use crate::diesel::statement::Statement;
use crate::diesel::statement::Value::Text;
use crate::diesel::transactions::is_in_transaction;
use crate::diesel::{MessageTable, TableSchema};
use crate::{Error, Position, Sightings};

/// How many publishers of a topic can be at work at once.
const SLOTS: i64 = 64;

/// The row that says that a topic's slots are there. Publishers do not lock it.
const MARK: i64 = -1;

/// A connection begins at the same slot each time, and so finds the one that it holds already.
const FREE_FROM_MINE: &str = "{slot} >= connection_id() % 64";
const FREE_BELOW_MINE: &str = "{slot} >= 0 AND {slot} < connection_id() % 64";

/// Where there is no mark, the other rows must not be looked for: not finding them would lock the
/// place where somebody has to insert them.
const IF_MARKED: &str = "EXISTS (
        SELECT 1 FROM {table} AS mark WHERE mark.{topic} = ? AND mark.{slot} = -1)";

const WAIT_FOR_MINE: &str = "
    SELECT {slot} FROM {table} WHERE {topic} = ? AND {slot} = connection_id() % 64 FOR UPDATE";

const IS_MARKED: &str = "SELECT {slot} FROM {table} WHERE {topic} = ? AND {slot} = -1";

const LAST: &str = "
    SELECT coalesce((SELECT max({id}) FROM {table}), 0), version(), CAST(@@read_only AS CHAR)";

/// Locks a slot until the transaction ends.
pub(super) fn lock<C>(
    connection: &mut C,
    table: &PublisherSlotsTable,
    topic: &str,
) -> Result<(), Error>
where
    C: LoadConnection<Backend = Mysql>,
{
    let failed = |connection: &mut C, cause| {
        let doing = format!("taking one of the publishers' slots of topic \"{topic}\"");
        // A server without SKIP LOCKED does not even understand the statement.
        match version(connection, table).map(|version| Server::of(&version)) {
            Ok(Err(problem)) => Error::repository(doing, problem, false),
            _ => failed_while(doing, cause),
        }
    };
    try_lock(connection, table, topic).map_err(|cause| failed(connection, cause))
}

fn version<C>(connection: &mut C, table: &PublisherSlotsTable) -> QueryResult<String>
where
    C: LoadConnection<Backend = Mysql>,
{
    let statement = Statement::new("SELECT version()", table, []);
    let version = first_row(connection, statement, |[version]| {
        version.text("version").map(str::to_owned)
    });
    version?.ok_or(NotFound)
}

fn try_lock<C>(connection: &mut C, table: &PublisherSlotsTable, topic: &str) -> QueryResult<()>
where
    C: LoadConnection<Backend = Mysql>,
{
    if lock_free(connection, table, topic, IF_MARKED)? {
        return Ok(());
    }
    // Whoever inserts the mark inserts the slots in the same transaction, and others wait for him
    // here. Then all of them are his until he commits.
    if insert(connection, table, topic, "INSERT", MARK..0)? == 1 {
        return insert(connection, table, topic, "INSERT", 0..SLOTS).map(drop);
    }
    // A reader locks all that are free for a moment.
    for attempt in 1..=5 {
        if lock_free(connection, table, topic, "? IS NOT NULL")? {
            return Ok(());
        }
        thread::sleep(Duration::from_micros(100 * attempt));
    }
    slot(connection, table, WAIT_FOR_MINE, &[topic])?;
    Ok(())
}

/// Locks a slot that nobody holds, and says whether there was one.
fn lock_free<C>(
    connection: &mut C,
    table: &PublisherSlotsTable,
    topic: &str,
    condition: &str,
) -> QueryResult<bool>
where
    C: LoadConnection<Backend = Mysql>,
{
    for place in [FREE_FROM_MINE, FREE_BELOW_MINE] {
        let sql = format!(
            "SELECT {{slot}} FROM {{table}} WHERE {condition} AND {{topic}} = ? AND {place} \
             ORDER BY {{slot}} LIMIT 1 FOR UPDATE SKIP LOCKED"
        );
        if slot(connection, table, sql, &[topic, topic])?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The slot that a statement finds.
fn slot<C>(
    connection: &mut C,
    table: &PublisherSlotsTable,
    sql: impl Into<Cow<'static, str>>,
    topics: &[&str],
) -> QueryResult<Option<i64>>
where
    C: LoadConnection<Backend = Mysql>,
{
    let statement = Statement::new(sql, table, topics.iter().map(|topic| Text(topic)));
    first_row(connection, statement, |[slot]| slot.integer("slot"))
}

/// Inserts the rows of a topic that are not there yet, and returns how many those are.
fn insert<C>(
    connection: &mut C,
    table: &PublisherSlotsTable,
    topic: &str,
    insert: &str,
    slots: Range<i64>,
) -> QueryResult<usize>
where
    C: LoadConnection<Backend = Mysql>,
{
    let rows: Vec<_> = slots.map(|slot| format!("(?, {slot})")).collect();
    let sql = format!(
        "{insert} IGNORE INTO {{table}} ({{topic}}, {{slot}}) VALUES {}",
        rows.join(", ")
    );
    let topics = rows.iter().map(|_| Text(topic));
    connection.execute_returning_count(&Statement::new(sql, table, topics))
}

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
        create_if_none(connection, slots, server, topic)
            .map_err(|cause| failed_while(doing(), cause))?;
    }
    Ok(sightings.look(Position::new(last.position), 0..SLOTS, free))
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

/// Publishers of other programs may have been the only ones so far.
fn create_if_none<C>(
    connection: &mut C,
    table: &PublisherSlotsTable,
    server: Server,
    topic: &str,
) -> QueryResult<()>
where
    C: LoadConnection<Backend = Mysql>,
{
    if slot(connection, table, IS_MARKED, &[topic])?.is_some() {
        return Ok(());
    }
    let without_waiting = server.insert_without_waiting();
    match insert(connection, table, topic, without_waiting, MARK..SLOTS) {
        // The topic's first publisher is creating them.
        Err(cause) if is_retryable(&cause) => Ok(()),
        created => created.map(drop),
    }
}

/// What is read of the message table, and of the server.
struct Last {
    position: i64,
    version: String,
    read_only: String,
}

fn last<C>(connection: &mut C, table: &MessageTable) -> QueryResult<Last>
where
    C: LoadConnection<Backend = Mysql>,
{
    let last = first_row(
        connection,
        Statement::new(LAST, table, []),
        |[position, version, read_only]| {
            Ok(Last {
                position: position.integer("id")?,
                version: version.text("version")?.to_owned(),
                read_only: read_only.text("read_only")?.to_owned(),
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
        Server::of(&self.version)
    }
}
