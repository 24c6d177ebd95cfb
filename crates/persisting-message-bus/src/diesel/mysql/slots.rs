//! How readers know what can still be committed: the publishers' part.
//!
//! A topic has 64 slots, rows of a small table, numbered from 0. A publisher locks one of them before
//! it draws its first position, until its transaction ends. Nothing is written. A message that is a
//! transaction of its own takes its slot in the statement that inserts it: see `single.rs`.
//!
//! A reader, in `horizon.rs`, takes three steps, none of which may share a snapshot with another:
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
use std::time::{Duration, Instant};

use diesel::connection::LoadConnection;
use diesel::mysql::Mysql;
use diesel::result::Error::NotFound;
use diesel::result::QueryResult;

use super::server::Server;
use crate::Error;
use crate::diesel::error::failed_while;
use crate::diesel::rows::first_row;
use crate::diesel::schema::PublisherSlotsTable;
use crate::diesel::statement::Statement;
use crate::diesel::statement::Value::Text;

/// How many publishers of a topic can be at work at once.
pub(super) const SLOTS: i64 = 64;

/// The row that says that a topic's slots are there. Publishers do not lock it.
const MARK: i64 = -1;

/// A connection begins at the same slot each time, and so finds the one that it holds already.
const FREE_FROM_MINE: &str = "{slot} >= connection_id() % 64";
const FREE_BELOW_MINE: &str = "{slot} >= 0 AND {slot} < connection_id() % 64";

/// Where there is no mark, the other rows must not be looked for: not finding them would lock the
/// place where somebody has to insert them. A count is not joined, and so looked at first.
const IF_MARKED: &str = "(
        SELECT count(*) FROM {table} AS mark WHERE mark.{topic} = ? AND mark.{slot} = -1) > 0";

/// One of the rows of no topic, which the migration inserts.
const GATE: &str = "
    SELECT 1 FROM {table} WHERE {topic} = '' AND {slot} = crc32(?) % 64";

const IS_MARKED: &str = "SELECT 1 FROM {table} WHERE {topic} = ? AND {slot} = -1";

/// Locks a slot until the transaction ends.
pub(super) fn lock<C>(
    connection: &mut C,
    table: &PublisherSlotsTable,
    topic: &str,
) -> Result<(), Error>
where
    C: LoadConnection<Backend = Mysql>,
{
    let doing = format!("taking one of the publishers' slots of topic \"{topic}\"");
    let problem = match try_lock(connection, table, topic) {
        Ok(Some(Slot { is_strict: true })) => return Ok(()),
        Ok(Some(Slot { is_strict: false })) => {
            "this session's sql_mode lets texts be cut that do not fit: add STRICT_TRANS_TABLES"
                .to_owned()
        }
        Ok(None) => {
            let problem = "all of them are taken by other transactions, which do not end";
            return Err(Error::repository(doing, problem, true));
        }
        // A server without SKIP LOCKED does not even understand the statement.
        Err(cause) => match version(connection, table).map(|version| Server::of(&version)) {
            Ok(Err(problem)) => problem,
            _ => return Err(failed_while(doing, cause)),
        },
    };
    Err(Error::repository(doing, problem, false))
}

/// A slot that is held, and what is to be known of the session.
struct Slot {
    is_strict: bool,
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

fn try_lock<C>(
    connection: &mut C,
    table: &PublisherSlotsTable,
    topic: &str,
) -> QueryResult<Option<Slot>>
where
    C: LoadConnection<Backend = Mysql>,
{
    if let Some(slot) = lock_free(connection, table, topic, IF_MARKED)? {
        return Ok(Some(slot));
    }
    if !is_marked(connection, table, topic)? {
        create(connection, table, topic)?;
    }
    // All are taken; or a reader has locked those that are free, for a moment.
    let patience = patience(connection, table)?;
    let begun = Instant::now();
    let mut pause = Duration::from_micros(100);
    loop {
        let slot = lock_free(connection, table, topic, "? IS NOT NULL")?;
        if slot.is_some() || begun.elapsed() > patience {
            return Ok(slot);
        }
        thread::sleep(pause);
        pause = (2 * pause).min(Duration::from_millis(10));
    }
}

/// Inserts the slots of a new topic. Until the end of the transaction, they are all its own.
///
/// Others wait at the gate. If they waited for the rows, and the first one rolled back, all of them
/// would get a lock that keeps the others from inserting.
fn create<C>(connection: &mut C, table: &PublisherSlotsTable, topic: &str) -> QueryResult<()>
where
    C: LoadConnection<Backend = Mysql>,
{
    let gate = Statement::new(format!("{GATE} FOR UPDATE"), table, [Text(topic)]);
    first_row(connection, gate, |[]| Ok(()))?;
    if insert(connection, table, topic, MARK..0)? == 1 {
        insert(connection, table, topic, 0..SLOTS)?;
    }
    Ok(())
}

/// Inserts the slots of a topic, unless somebody else is just doing that.
pub(super) fn create_without_waiting<C>(
    connection: &mut C,
    table: &PublisherSlotsTable,
    topic: &str,
) -> QueryResult<()>
where
    C: LoadConnection<Backend = Mysql>,
{
    connection.transaction(|connection| {
        let gate = Statement::new(
            format!("{GATE} FOR UPDATE SKIP LOCKED"),
            table,
            [Text(topic)],
        );
        if first_row(connection, gate, |[]| Ok(()))?.is_some() {
            insert(connection, table, topic, MARK..SLOTS)?;
        }
        Ok(())
    })
}

/// Whether a topic has slots, as far as the transaction sees.
pub(super) fn is_marked<C>(
    connection: &mut C,
    table: &PublisherSlotsTable,
    topic: &str,
) -> QueryResult<bool>
where
    C: LoadConnection<Backend = Mysql>,
{
    let statement = Statement::new(IS_MARKED, table, [Text(topic)]);
    first_row(connection, statement, |[]| Ok(())).map(|mark| mark.is_some())
}

/// How long the session waits for a lock.
fn patience<C>(connection: &mut C, table: &PublisherSlotsTable) -> QueryResult<Duration>
where
    C: LoadConnection<Backend = Mysql>,
{
    let statement = Statement::new("SELECT @@innodb_lock_wait_timeout", table, []);
    let seconds = first_row(connection, statement, |[seconds]| {
        seconds.integer("innodb_lock_wait_timeout")
    })?;
    Ok(Duration::from_secs(seconds.unwrap_or(0).unsigned_abs()))
}

/// Locks a slot that nobody holds, if there is one.
fn lock_free<C>(
    connection: &mut C,
    table: &PublisherSlotsTable,
    topic: &str,
    condition: &str,
) -> QueryResult<Option<Slot>>
where
    C: LoadConnection<Backend = Mysql>,
{
    for place in [FREE_FROM_MINE, FREE_BELOW_MINE] {
        let sql = format!(
            "SELECT @@sql_mode LIKE '%STRICT%' FROM {{table}} \
             WHERE {condition} AND {{topic}} = ? AND {place} \
             ORDER BY {{slot}} LIMIT 1 FOR UPDATE SKIP LOCKED"
        );
        let free = slot(connection, table, sql.into(), &[topic, topic])?;
        if free.is_some() {
            return Ok(free);
        }
    }
    Ok(None)
}

fn slot<C>(
    connection: &mut C,
    table: &PublisherSlotsTable,
    sql: Cow<'static, str>,
    topics: &[&str],
) -> QueryResult<Option<Slot>>
where
    C: LoadConnection<Backend = Mysql>,
{
    let statement = Statement::new(sql, table, topics.iter().map(|topic| Text(topic)));
    first_row(connection, statement, |[is_strict]| {
        let is_strict = is_strict.integer("sql_mode")? != 0;
        Ok(Slot { is_strict })
    })
}

/// Inserts the rows of a topic that are not there yet, and returns how many those are.
fn insert<C>(
    connection: &mut C,
    table: &PublisherSlotsTable,
    topic: &str,
    slots: Range<i64>,
) -> QueryResult<usize>
where
    C: LoadConnection<Backend = Mysql>,
{
    let rows: Vec<_> = slots.map(|slot| format!("(?, {slot})")).collect();
    let sql = format!(
        "INSERT IGNORE INTO {{table}} ({{topic}}, {{slot}}) VALUES {}",
        rows.join(", ")
    );
    let topics = rows.iter().map(|_| Text(topic));
    connection.execute_returning_count(&Statement::new(sql, table, topics))
}
