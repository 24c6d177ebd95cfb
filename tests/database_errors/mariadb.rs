//! Errors of MariaDB, provoked in several languages.

use std::collections::BTreeSet;
use std::thread;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use persisting_message_bus::Error;
use persisting_message_bus::backend::TransactionControl;
use persisting_message_bus::handler::HandlerError;
use persisting_message_bus_tests::databases::{Database, Mariadb};
use persisting_message_bus_tests::topics::OrderPlaced;
use persisting_message_bus_tests::waiting::wait_until;

use super::{handle_first, is_attempted, is_lost, may_pass, orders};

const LANGUAGES: [&str; 5] = ["en_US", "de_DE", "fr_FR", "ja_JP", "es_ES"];

/// Provokes an error in a handler in each language, on a connection with these settings, and checks
/// the error of the consumer. Returns the texts of the causes.
fn in_each_language(
    settings: &str,
    met: &dyn Fn(&Mariadb, &mut MysqlConnection) -> Result<(), HandlerError>,
    check: fn(&Error),
) -> BTreeSet<String> {
    let mut texts = BTreeSet::new();
    for language in LANGUAGES {
        let database = Mariadb::create();
        let mut bus = database.connect();
        let stock = "CREATE TABLE stock (id INTEGER PRIMARY KEY, amount INTEGER);
            INSERT INTO stock VALUES (1, 1), (2, 1), (3, 1), (4, 1), (5, 1), (6, 1)";
        bus.batch_execute(stock).unwrap();
        let language = format!("SET lc_messages = '{language}'");
        bus.batch_execute(&format!("{language}; {settings}"))
            .unwrap();
        let error = handle_first(&mut bus, |bus| met(&database, bus)).unwrap_err();
        check(&error);
        assert!(
            !error.is_handler_failure() && error.attempts().is_none(),
            "{error:?}"
        );
        assert!(!is_attempted(&mut database.connect()), "{error:?}");
        texts.insert(
            format!("{error:#}")
                .rsplit(": ")
                .next()
                .unwrap_or_default()
                .to_owned(),
        );
    }
    texts
}

fn assert_one_text_for_each_language(texts: &BTreeSet<String>) {
    assert_eq!(
        texts.len(),
        LANGUAGES.len(),
        "there is not one text for each language: {texts:#?}"
    );
}

fn take(connection: &mut MysqlConnection, id: i32) -> Result<(), HandlerError> {
    let take = format!("UPDATE stock SET amount = amount - 1 WHERE id = {id}");
    Ok(diesel::sql_query(take).execute(connection).map(drop)?)
}

fn number(connection: &mut MysqlConnection, sql: &str) -> i64 {
    diesel::dsl::sql::<BigInt>(sql)
        .get_result(connection)
        .unwrap()
}

/// Locks rows in an open transaction of another connection.
fn lock_in_other_transaction(database: &Mariadb, ids: std::ops::Range<i32>) -> MysqlConnection {
    let mut other = database.connect();
    other.begin().unwrap();
    for id in ids {
        take(&mut other, id).unwrap();
    }
    other
}

/// Updates two rows, of which another transaction holds the second one and waits for the first one.
fn deadlock(database: &Mariadb, bus: &mut MysqlConnection) -> Result<(), HandlerError> {
    // The server rolls back the transaction that has written less.
    let mut filler = database.connect();
    filler
        .batch_execute("CREATE TABLE filler (id INTEGER PRIMARY KEY)")
        .unwrap();
    let mut other = lock_in_other_transaction(database, 2..7);
    other
        .batch_execute("INSERT INTO filler SELECT seq FROM seq_1_to_1000")
        .unwrap();
    let waiting = number(&mut other, "SELECT connection_id()");
    let mut observer = database.connect();
    take(bus, 1)?;
    thread::scope(|scope| {
        scope.spawn(move || {
            take(&mut other, 1).unwrap();
            other.rollback().unwrap();
        });
        let waits = format!(
            "SELECT count(*) FROM information_schema.processlist
                WHERE id = {waiting} AND state = 'Updating'"
        );
        wait_until("the other transaction waits for a lock", || {
            number(&mut observer, &waits) > 0
        });
        take(bus, 2)
    })
}

/// MariaDB reports deadlocks in English in every language.
#[test]
fn a_deadlock_is_transient_in_every_language() {
    in_each_language("", &deadlock, may_pass);
}

#[test]
fn a_lock_timeout_is_transient_in_every_language() {
    let met = |database: &Mariadb, bus: &mut MysqlConnection| {
        let _other = lock_in_other_transaction(database, 1..2);
        take(bus, 1)
    };
    let settings = "SET innodb_lock_wait_timeout = 1";
    assert_one_text_for_each_language(&in_each_language(settings, &met, may_pass));
}

#[test]
fn a_statement_timeout_is_transient_in_every_language() {
    let met = |_: &Mariadb, bus: &mut MysqlConnection| {
        Ok(diesel::sql_query("SELECT sleep(60)")
            .execute(bus)
            .map(drop)?)
    };
    let texts = in_each_language("SET max_statement_time = 0.5", &met, may_pass);
    assert!(texts.len() > 1, "{texts:?}");
}

#[test]
fn a_killed_statement_is_transient_in_every_language() {
    let met = |database: &Mariadb, bus: &mut MysqlConnection| {
        let victim = number(bus, "SELECT connection_id()");
        let mut other = database.connect();
        thread::scope(|scope| {
            scope.spawn(move || {
                let sleeps = format!(
                    "SELECT count(*) FROM information_schema.processlist
                    WHERE id = {victim} AND state = 'User sleep'"
                );
                wait_until("the statement runs", || number(&mut other, &sleeps) > 0);
                other
                    .batch_execute(&format!("KILL QUERY {victim}"))
                    .unwrap();
            });
            Ok(diesel::sql_query("SELECT sleep(60) FROM stock")
                .execute(bus)
                .map(drop)?)
        })
    };
    in_each_language("", &met, may_pass);
}

#[test]
fn a_concurrent_update_is_transient_in_every_language() {
    let met = |database: &Mariadb, bus: &mut MysqlConnection| {
        number(bus, "SELECT CAST(amount AS SIGNED) FROM stock WHERE id = 1");
        let mut other = database.connect();
        take(&mut other, 1)?;
        take(bus, 1)
    };
    let settings = "SET innodb_snapshot_isolation = ON";
    assert_one_text_for_each_language(&in_each_language(settings, &met, may_pass));
}

#[test]
fn a_terminated_connection_is_reported_as_disconnected() {
    let met = |database: &Mariadb, bus: &mut MysqlConnection| {
        let id = number(bus, "SELECT connection_id()");
        let mut other = database.connect();
        other
            .batch_execute(&format!("KILL CONNECTION {id}"))
            .unwrap();
        let lives = format!("SELECT count(*) FROM information_schema.processlist WHERE id = {id}");
        wait_until("the session ends", || number(&mut other, &lives) == 0);
        take(bus, 1)
    };
    in_each_language("", &met, is_lost);
}

#[test]
fn a_commit_on_a_terminated_connection_is_reported_as_disconnected() {
    let met = |database: &Mariadb, bus: &mut MysqlConnection| {
        let id = number(bus, "SELECT connection_id()");
        let mut other = database.connect();
        other.batch_execute(&format!("KILL CONNECTION {id}"))?;
        let lives = format!("SELECT count(*) FROM information_schema.processlist WHERE id = {id}");
        wait_until("the session ends", || number(&mut other, &lives) == 0);
        Ok(())
    };
    in_each_language("", &met, is_lost);
}

#[test]
fn an_idle_transaction_timeout_is_reported_as_disconnected() {
    let met = |database: &Mariadb, bus: &mut MysqlConnection| {
        let id = number(bus, "SELECT connection_id()");
        let mut other = database.connect();
        let lives = format!("SELECT count(*) FROM information_schema.processlist WHERE id = {id}");
        wait_until("the session ends", || number(&mut other, &lives) == 0);
        take(bus, 1)
    };
    in_each_language("SET idle_transaction_timeout = 1", &met, is_lost);
}

#[test]
fn a_dispatch_into_a_lock_is_transient_in_every_language() {
    let met = |database: &Mariadb, bus: &mut MysqlConnection| {
        let mut other = database.connect();
        other.begin().unwrap();
        orders().dispatch(&mut other, &OrderPlaced::number(2))?;
        other
            .batch_execute("SELECT * FROM message_publisher_slots FOR UPDATE")
            .unwrap();
        orders().dispatch(bus, &OrderPlaced::number(2))?;
        Ok(())
    };
    in_each_language("SET innodb_lock_wait_timeout = 1", &met, may_pass);
}

/// If the single statement that publishes finds no slot, it fails on purpose with an error.
#[test]
fn the_missing_strict_mode_is_reported_in_every_language() {
    for language in ["en_US", "es_ES", "zh_CN", "ka_GE"] {
        let database = Mariadb::create();
        let mut bus = database.connect();
        let settings = format!("SET lc_messages = '{language}'; SET sql_mode = ''");
        bus.batch_execute(&settings).unwrap();
        let error = orders()
            .dispatch(&mut bus, &OrderPlaced::number(1))
            .unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains("STRICT_TRANS_TABLES"), "{text}");
    }
}
