//! Statements with which handlers interfere with their transaction.

use diesel::connection::SimpleConnection;
use diesel::result::QueryResult;

use super::sql::Sql;

/// Statements that a handler runs, ignoring their errors.
pub struct Deed {
    pub sql: &'static str,
    pub fate: Fate,
    /// Statements that create what the deed needs.
    pub before: &'static str,
}

/// The fate of the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The transaction can only be rolled back.
    Aborted,
    /// The transaction is rolled back.
    RolledBack,
    /// The transaction is committed.
    Committed,
}

use Fate::{Aborted, Committed, RolledBack};

const fn deed(sql: &'static str, fate: Fate) -> Deed {
    let before = "";
    Deed { sql, fate, before }
}

pub const SQLITE: [Deed; 9] = [
    deed("INSERT OR ROLLBACK INTO once VALUES (1)", RolledBack),
    deed(
        "INSERT OR ROLLBACK INTO once VALUES (1) RETURNING number",
        RolledBack,
    ),
    deed("ROLLBACK", RolledBack),
    deed("ROLLBACK; BEGIN", RolledBack),
    deed("COMMIT", Committed),
    deed("COMMIT; BEGIN", Committed),
    deed("END; BEGIN IMMEDIATE", Committed),
    Deed {
        sql: "INSERT INTO guarded VALUES (1)",
        fate: RolledBack,
        before: "CREATE TABLE guarded (number integer);
            CREATE TRIGGER guard BEFORE INSERT ON guarded
            BEGIN SELECT RAISE(ROLLBACK, 'not today'); END;",
    },
    deed(
        "INSERT INTO guarded VALUES (1) RETURNING number",
        RolledBack,
    ),
];

pub const POSTGRES: [Deed; 11] = [
    deed("INSERT INTO once VALUES (1)", Aborted),
    deed("INSERT INTO once VALUES (1) RETURNING number", Aborted),
    deed("SELEC 1", Aborted),
    deed("SELECT 1 / 0", Aborted),
    deed(
        "INSERT INTO effects VALUES (3); INSERT INTO once VALUES (1)",
        Aborted,
    ),
    deed("ROLLBACK", RolledBack),
    deed("ROLLBACK; BEGIN", RolledBack),
    deed("COMMIT", Committed),
    deed("COMMIT; BEGIN", Committed),
    deed("COMMIT AND CHAIN", Committed),
    // The transaction that then fails is a new one.
    deed("COMMIT; BEGIN; SELECT 1 / 0", Committed),
];

pub const MARIADB: [Deed; 12] = [
    deed("SELECT 'it\\'s'; COMMIT", Committed),
    deed("SELECT 1 # it's\n; COMMIT", Committed),
    deed("TRUNCATE scratch", Committed),
    deed(
        "CREATE TABLE IF NOT EXISTS scratch (number bigint)",
        Committed,
    ),
    deed(
        "INSERT INTO scratch VALUES (1); TRUNCATE scratch",
        Committed,
    ),
    deed(
        "/* a note */ ALTER TABLE scratch ADD COLUMN IF NOT EXISTS more int",
        Committed,
    ),
    deed("START TRANSACTION", Committed),
    deed("ROLLBACK", RolledBack),
    deed("ROLLBACK; BEGIN", RolledBack),
    deed("COMMIT", Committed),
    deed("COMMIT; BEGIN", Committed),
    Deed {
        sql: "CALL commits()",
        fate: Committed,
        before: "CREATE PROCEDURE commits() BEGIN COMMIT; START TRANSACTION; END",
    },
];

pub const HARMLESS_ON_SQLITE: [&str; 6] = [
    "INSERT INTO scratch VALUES (1) RETURNING number",
    "CREATE TRIGGER IF NOT EXISTS more AFTER INSERT ON once BEGIN DELETE FROM scratch; END",
    "INSERT INTO once VALUES (1)",
    "INSERT INTO scratch VALUES (';COMMIT;')",
    "PRAGMA foreign_keys",
    "SAVEPOINT mine; INSERT INTO once VALUES (7); ROLLBACK TO mine; RELEASE mine",
];

pub const HARMLESS_ON_POSTGRES: [&str; 7] = [
    "INSERT INTO scratch VALUES (1) RETURNING number",
    "CREATE OR REPLACE FUNCTION one() RETURNS int LANGUAGE SQL BEGIN ATOMIC SELECT 1; END",
    "DO $do_it$ BEGIN NULL; END; $do_it$",
    "SAVEPOINT mine; DELETE FROM once; ROLLBACK TO mine; RELEASE mine",
    "CREATE TABLE IF NOT EXISTS scratch (number bigint)",
    "SELECT ';COMMIT;'",
    "SET LOCAL lock_timeout = '10s'",
];

pub const HARMLESS_ON_MARIADB: [&str; 7] = [
    "INSERT INTO scratch VALUES (1) RETURNING number",
    "BEGIN NOT ATOMIC INSERT INTO scratch VALUES (1); END",
    "INSERT INTO once VALUES (1)",
    "SELECT ';COMMIT;'",
    "CREATE TEMPORARY TABLE IF NOT EXISTS mine (number int)",
    "SAVEPOINT mine; DELETE FROM once; ROLLBACK TO mine; RELEASE SAVEPOINT mine",
    "SET @mine = 1",
];

/// Runs the statements and ignores their errors. Loads the rows that they return, as an application
/// does.
pub fn do_it<D: Sql>(bus: &mut D::Connection, sql: &str) {
    if sql.contains("RETURNING") {
        let _ignored = D::load(bus, sql);
    } else {
        let _ignored: QueryResult<()> = bus.batch_execute(sql);
    }
}

/// Creates the tables and rows that the deeds need.
pub fn prepare(bus: &mut impl SimpleConnection, deeds: &[Deed]) {
    for deed in deeds.iter().filter(|deed| !deed.before.is_empty()) {
        bus.batch_execute(deed.before).unwrap();
    }
}
