//! How readers determine which messages can still be committed: the publishers' part.
//!
//! A topic has 64 slots: rows of a small table, numbered from 0. A publisher locks one of them
//! before it draws its first position, and holds it until its transaction ends. Nothing is written.
//! A message that is a transaction of its own takes its slot in the statement that inserts it: see
//! `publish_autocommit.rs`.
//!
//! A reader, in `high_water_mark.rs`, takes three steps, none of which may share a snapshot with
//! another:
//!
//! 1. It reads S, the highest committed position.
//! 2. It reads which slots are free, and remembers S for these. The high-water mark is the lowest S
//!    of all slots, whether they are free now or remembered.
//! 3. In a snapshot of its own, it reads the rows up to the high-water mark.
//!
//! A publisher that drew a position up to S has held its slot since before that. So step 2 has two
//! cases. If the slot is not free, the reader last saw it free at a lower S. If the publisher's
//! transaction has ended, step 3 sees the rows that it committed, because InnoDB makes a
//! transaction visible before it releases its locks.

use std::ops::Range;

use diesel::connection::LoadConnection;
use diesel::mysql::Mysql;
use diesel::result::Error::NotFound;
use diesel::result::QueryResult;

use crate::error::Error;
use crate::sql::dialect::Value::Text;
use crate::sql::dialect::{Names, Statement};
use crate::sql::error::failed_while;
use crate::sql::mysql::free_slots::{
    ANY, IF_MARKED, IN_TRANSACTION, LACKS_SLOTS, Session, lock_free,
};
use crate::sql::mysql::server::Server;
use crate::sql::mysql::slot_waits::wait_for_slot;
use crate::sql::rows::first_row;
use crate::sql::schema::PublisherSlotsTable;

/// The number of publishers of a topic that can be active at once.
pub(super) const SLOTS: i64 = 64;

/// The row that marks that a topic's slots exist. Publishers do not lock it.
const MARK: i64 = -1;

/// One of the rows of no topic, which the migration inserts.
const GATE: &str = "
    SELECT 1 FROM {table} WHERE {topic} = '' AND {slot} = crc32(?) % 64";

/// The problem if the server has ended the transaction that Diesel has begun.
pub(super) const ENDED: &str = "the server has already ended this transaction: it rolled the transaction back for a \
    deadlock, or a timeout, whose error was ignored; or committed it for a statement that commits by \
    itself, such as TRUNCATE and ALTER TABLE; or received COMMIT or ROLLBACK as text. Nothing was \
    written. Roll back, and run the whole transaction again, unless a part of it was committed. Return \
    the errors of statements, and let Diesel end transactions";

/// The problem of a session that is not strict.
pub(super) const NOT_STRICT: &str =
    "this session's sql_mode cuts texts that do not fit: add STRICT_TRANS_TABLES";

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
        Ok(Some(Session::Good)) => return Ok(()),
        Ok(Some(Session::CutsTexts)) => NOT_STRICT.to_owned(),
        Ok(None) => {
            let problem = "all of them are held by other transactions that do not end";
            return Err(Error::transient(doing, problem));
        }
        Ok(Some(Session::OutsideOfTransaction)) => ENDED.to_owned(),
        Ok(Some(Session::WithoutSlots)) => LACKS_SLOTS.to_owned(),
        // A server without SKIP LOCKED does not even understand the statement.
        Err(cause) => match version(connection, table).map(|version| Server::of(&version)) {
            Ok(Err(problem)) => problem,
            _ => return Err(failed_while(doing, cause)),
        },
    };
    Err(Error::permanent(doing, problem))
}

/// The state of a topic, as far as the session sees it, and of the session itself.
struct Standing {
    is_marked: bool,
    in_transaction: bool,
}

pub(super) fn version<C>(connection: &mut C, names: &dyn Names) -> QueryResult<String>
where
    C: LoadConnection<Backend = Mysql>,
{
    let statement = Statement::new("SELECT version()", names, []);
    let version = first_row(connection, statement, |[version]| {
        version.text("version").map(str::to_owned)
    });
    version?.ok_or(NotFound)
}

fn try_lock<C>(
    connection: &mut C,
    table: &PublisherSlotsTable,
    topic: &str,
) -> QueryResult<Option<Session>>
where
    C: LoadConnection<Backend = Mysql>,
{
    let slot = lock_free(connection, table, topic, IF_MARKED)?;
    if slot.is_some() {
        return Ok(slot);
    }
    let standing = standing(connection, table, topic)?;
    if !standing.in_transaction {
        return Ok(Some(Session::OutsideOfTransaction));
    }
    if !standing.is_marked {
        create(connection, table, topic)?;
    }
    // The mark may be younger than the transaction's snapshot, so the slots are searched without
    // its condition.
    let slot = lock_free(connection, table, topic, ANY)?;
    if slot.is_some() {
        return Ok(slot);
    }
    // All slots are taken, or a reader has locked the free ones for a moment.
    wait_for_slot(connection, table, topic)
}

/// Inserts the slots of a new topic. Until the end of the transaction, it holds all of them.
///
/// Other publishers wait at the gate. If they waited for the rows instead, and the first
/// transaction rolled back, each of them would get a lock that keeps the others from inserting.
fn create<C>(connection: &mut C, table: &PublisherSlotsTable, topic: &str) -> QueryResult<()>
where
    C: LoadConnection<Backend = Mysql>,
{
    let gate = || Statement::new(format!("{GATE} FOR UPDATE"), table, [Text(topic)]);
    if first_row(connection, gate(), |[]| Ok(()))?.is_none() {
        create_gates(connection, table)?;
        first_row(connection, gate(), |[]| Ok(()))?;
    }
    if insert(connection, table, topic, MARK..0)? == 1 {
        insert(connection, table, topic, 0..SLOTS)?;
    }
    Ok(())
}

/// Inserts the slots of a topic, unless another transaction is inserting them at the same time.
pub(super) fn create_without_waiting<C>(
    connection: &mut C,
    table: &PublisherSlotsTable,
    topic: &str,
) -> QueryResult<()>
where
    C: LoadConnection<Backend = Mysql>,
{
    connection.transaction(|connection| {
        let gate = |lock: &str| Statement::new(format!("{GATE}{lock}"), table, [Text(topic)]);
        let free = gate(" FOR UPDATE SKIP LOCKED");
        if first_row(connection, free, |[]| Ok(()))?.is_some() {
            insert(connection, table, topic, MARK..SLOTS)?;
        } else if first_row(connection, gate(""), |[]| Ok(()))?.is_none() {
            // The next reader finds them.
            create_gates(connection, table)?;
        }
        Ok(())
    })
}

/// Inserts the gates, which the migration has inserted, unless the table was copied without its rows.
fn create_gates<C>(connection: &mut C, table: &PublisherSlotsTable) -> QueryResult<()>
where
    C: LoadConnection<Backend = Mysql>,
{
    insert(connection, table, "", 0..SLOTS).map(drop)
}

/// Returns `true` if a topic has slots, as far as the transaction sees.
pub(super) fn is_marked<C>(
    connection: &mut C,
    table: &PublisherSlotsTable,
    topic: &str,
) -> QueryResult<bool>
where
    C: LoadConnection<Backend = Mysql>,
{
    standing(connection, table, topic).map(|standing| standing.is_marked)
}

fn standing<C>(
    connection: &mut C,
    table: &PublisherSlotsTable,
    topic: &str,
) -> QueryResult<Standing>
where
    C: LoadConnection<Backend = Mysql>,
{
    let sql = format!(
        "SELECT count(*), {IN_TRANSACTION} FROM {{table}} WHERE {{topic}} = ? AND {{slot}} = -1"
    );
    let standing = first_row(
        connection,
        Statement::new(sql, table, [Text(topic)]),
        |[marks, in_transaction]| {
            Ok(Standing {
                is_marked: marks.integer("slot")? > 0,
                in_transaction: in_transaction.integer("in_transaction")? != 0,
            })
        },
    );
    standing?.ok_or(NotFound)
}

/// Inserts the rows of a topic that do not exist yet, and returns their number.
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
