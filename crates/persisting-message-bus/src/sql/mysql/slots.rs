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

use diesel::mysql::Mysql;
use diesel::result::Error::NotFound;
use diesel::result::QueryResult;

use crate::error::Error;
use crate::sql::dialect::Value::Text;
use crate::sql::dialect::{Names, Statement};
use crate::sql::error::failed_while;
use crate::sql::executor::Executor;
use crate::sql::mysql::free_slots::{
    ANY, IF_MARKED, IN_TRANSACTION, LACKS_SLOTS, Session, lock_free,
};
use crate::sql::mysql::server::Server;
use crate::sql::mysql::slot_waits::wait_for_slot;
use crate::sql::own_transactions::end_inner;
use crate::sql::schema::PublisherSlotsTable;

/// The number of publishers of a topic that can be active at once.
pub(super) const SLOTS: i64 = 64;

/// The row that marks that a topic's slots exist. Publishers do not lock it.
pub(super) const MARK: i64 = -1;

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
pub(super) async fn lock<E>(
    executor: &mut E,
    table: &PublisherSlotsTable,
    topic: &str,
) -> Result<(), Error>
where
    E: Executor<Backend = Mysql>,
{
    let doing = format!("taking one of the publishers' slots of topic \"{topic}\"");
    let problem = match try_lock(executor, table, topic).await {
        Ok(Some(Session::Good)) => return Ok(()),
        Ok(Some(Session::CutsTexts)) => NOT_STRICT.to_owned(),
        Ok(None) => {
            let problem = "all of them are held by other transactions that do not end";
            return Err(Error::transient(doing, problem));
        }
        Ok(Some(Session::OutsideOfTransaction)) => ENDED.to_owned(),
        Ok(Some(Session::WithoutSlots)) => LACKS_SLOTS.to_owned(),
        // A server without SKIP LOCKED does not even understand the statement.
        Err(cause) => match version(executor, table)
            .await
            .map(|version| Server::of(&version))
        {
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

pub(super) async fn version<E>(executor: &mut E, names: &dyn Names) -> QueryResult<String>
where
    E: Executor<Backend = Mysql>,
{
    let statement = Statement::new("SELECT version()", names, []);
    let version = executor.first_row(statement, |[version]| {
        version.text("version").map(str::to_owned)
    });
    version.await?.ok_or(NotFound)
}

async fn try_lock<E>(
    executor: &mut E,
    table: &PublisherSlotsTable,
    topic: &str,
) -> QueryResult<Option<Session>>
where
    E: Executor<Backend = Mysql>,
{
    let slot = lock_free(executor, table, topic, IF_MARKED).await?;
    if slot.is_some() {
        return Ok(slot);
    }
    let standing = standing(executor, table, topic).await?;
    if !standing.in_transaction {
        return Ok(Some(Session::OutsideOfTransaction));
    }
    if !standing.is_marked {
        create(executor, table, topic).await?;
    }
    // The mark may be younger than the transaction's snapshot, so the slots are searched without
    // its condition.
    let slot = lock_free(executor, table, topic, ANY).await?;
    if slot.is_some() {
        return Ok(slot);
    }
    // All slots are taken, or a reader has locked the free ones for a moment.
    wait_for_slot(executor, table, topic).await
}

/// Inserts the slots of a new topic. Until the end of the transaction, it holds all of them.
///
/// Other publishers wait at the gate. If they waited for the rows instead, and the first
/// transaction rolled back, each of them would get a lock that keeps the others from inserting.
async fn create<E>(executor: &mut E, table: &PublisherSlotsTable, topic: &str) -> QueryResult<()>
where
    E: Executor<Backend = Mysql>,
{
    let gate = || Statement::new(format!("{GATE} FOR UPDATE"), table, [Text(topic)]);
    if executor.first_row(gate(), |[]| Ok(())).await?.is_none() {
        create_gates(executor, table).await?;
        executor.first_row(gate(), |[]| Ok(())).await?;
    }
    if insert(executor, table, topic, MARK..0).await? == 1 {
        insert(executor, table, topic, 0..SLOTS).await?;
    }
    Ok(())
}

/// Inserts the slots of a topic, unless another transaction is inserting them at the same time.
pub(super) async fn create_without_waiting<E>(
    executor: &mut E,
    table: &PublisherSlotsTable,
    topic: &str,
) -> QueryResult<()>
where
    E: Executor<Backend = Mysql>,
{
    executor.begin().await?;
    let created = create_if_free(executor, table, topic).await;
    end_inner(executor, created).await
}

async fn create_if_free<E>(
    executor: &mut E,
    table: &PublisherSlotsTable,
    topic: &str,
) -> QueryResult<()>
where
    E: Executor<Backend = Mysql>,
{
    let gate = |lock: &str| Statement::new(format!("{GATE}{lock}"), table, [Text(topic)]);
    let free = gate(" FOR UPDATE SKIP LOCKED");
    if executor.first_row(free, |[]| Ok(())).await?.is_some() {
        insert(executor, table, topic, MARK..SLOTS).await?;
    } else if executor.first_row(gate(""), |[]| Ok(())).await?.is_none() {
        // The next reader finds them.
        create_gates(executor, table).await?;
    }
    Ok(())
}

/// Inserts the gates, which the migration has inserted, unless the table was copied without its rows.
async fn create_gates<E>(executor: &mut E, table: &PublisherSlotsTable) -> QueryResult<()>
where
    E: Executor<Backend = Mysql>,
{
    insert(executor, table, "", 0..SLOTS).await.map(drop)
}

/// Returns `true` if a topic has slots, as far as the transaction sees.
pub(super) async fn is_marked<E>(
    executor: &mut E,
    table: &PublisherSlotsTable,
    topic: &str,
) -> QueryResult<bool>
where
    E: Executor<Backend = Mysql>,
{
    let standing = standing(executor, table, topic).await;
    standing.map(|standing| standing.is_marked)
}

async fn standing<E>(
    executor: &mut E,
    table: &PublisherSlotsTable,
    topic: &str,
) -> QueryResult<Standing>
where
    E: Executor<Backend = Mysql>,
{
    let sql = format!(
        "SELECT count(*), {IN_TRANSACTION} FROM {{table}} WHERE {{topic}} = ? AND {{slot}} = -1"
    );
    let standing = executor.first_row(
        Statement::new(sql, table, [Text(topic)]),
        |[marks, in_transaction]| {
            Ok(Standing {
                is_marked: marks.integer("slot")? > 0,
                in_transaction: in_transaction.integer("in_transaction")? != 0,
            })
        },
    );
    standing.await?.ok_or(NotFound)
}

/// Inserts the rows of a topic that do not exist yet, and returns their number.
async fn insert<E>(
    executor: &mut E,
    table: &PublisherSlotsTable,
    topic: &str,
    slots: Range<i64>,
) -> QueryResult<usize>
where
    E: Executor<Backend = Mysql>,
{
    let rows: Vec<_> = slots.map(|slot| format!("(?, {slot})")).collect();
    let sql = format!(
        "INSERT IGNORE INTO {{table}} ({{topic}}, {{slot}}) VALUES {}",
        rows.join(", ")
    );
    let topics = rows.iter().map(|_| Text(topic));
    executor.execute(Statement::new(sql, table, topics)).await
}
