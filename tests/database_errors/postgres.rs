//! Errors of PostgreSQL, provoked in several languages.

use std::collections::BTreeSet;
use std::env;
use std::thread;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use persisting_message_bus::Error;
use persisting_message_bus::backend::TransactionControl;
use persisting_message_bus::handler::HandlerError;
use persisting_message_bus_tests::databases::{Database, Postgres, Server};
use persisting_message_bus_tests::servers::PROGRAMS;
use persisting_message_bus_tests::topics::OrderPlaced;
use persisting_message_bus_tests::waiting::wait_until;

use super::{handle_first, is_attempted, is_lost, may_pass, orders};

diesel::table! {
    stock (id) {
        id -> Integer,
        amount -> Integer,
    }
}

/// Locales of the system, each with its text for a deadlock.
const LANGUAGES: [(&str, &str); 4] = [
    ("C", "deadlock detected"),
    ("de_DE.UTF-8", "Verklemmung (Deadlock) entdeckt"),
    ("fr_FR.UTF-8", "interblocage (deadlock) détecté"),
    ("ja_JP.UTF-8", "デッドロックを検出しました"),
];

/// Provokes an error in a handler in each language, on a connection with these settings, and checks
/// the error of the consumer.
fn in_each_language(
    settings: &str,
    met: &dyn Fn(&Postgres, &mut PgConnection) -> Result<(), HandlerError>,
    check: fn(&Error),
) {
    let texts = texts_in_each_language(settings, met, check);
    // The programs of other versions have no translations, so their texts are in English.
    let is_english = env::var_os(PROGRAMS).is_some();
    assert_eq!(
        texts.len(),
        if is_english { 1 } else { LANGUAGES.len() },
        "there is not one text for each language: {texts:#?}"
    );
}

/// Does the same, and returns the texts of the causes.
fn texts_in_each_language(
    settings: &str,
    met: &dyn Fn(&Postgres, &mut PgConnection) -> Result<(), HandlerError>,
    check: fn(&Error),
) -> BTreeSet<String> {
    let mut texts = BTreeSet::new();
    for (language, _) in LANGUAGES {
        let database = Postgres::create();
        let mut bus = database.connect();
        let stock = "CREATE TABLE stock (id integer PRIMARY KEY, amount integer);
            INSERT INTO stock VALUES (1, 1), (2, 1)";
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
        let cause = format!("{error:#}");
        texts.insert(cause.rsplit(": ").next().unwrap_or_default().to_owned());
    }
    texts
}

fn take(connection: &mut PgConnection, id: i32) -> Result<(), HandlerError> {
    let take = format!("UPDATE stock SET amount = amount - 1 WHERE id = {id}");
    Ok(diesel::sql_query(take).execute(connection).map(drop)?)
}

fn number(connection: &mut PgConnection, sql: &str) -> i64 {
    diesel::dsl::sql::<BigInt>(sql)
        .get_result(connection)
        .unwrap()
}

fn pid(connection: &mut PgConnection) -> i64 {
    number(connection, "SELECT pg_backend_pid()::bigint")
}

/// Locks a row in an open transaction of another connection.
fn lock_in_other_transaction(database: &Postgres, id: i32) -> PgConnection {
    let mut other = database.connect();
    other
        .batch_execute("SET deadlock_timeout = '1min'")
        .unwrap();
    other.begin().unwrap();
    take(&mut other, id).unwrap();
    other
}

/// Updates two rows, of which another transaction holds the second one and waits for the first one.
fn deadlock(database: &Postgres, bus: &mut PgConnection) -> Result<(), HandlerError> {
    let mut other = lock_in_other_transaction(database, 2);
    take(bus, 1)?;
    let waiting = pid(&mut other);
    thread::scope(|scope| {
        scope.spawn(|| {
            take(&mut other, 1).unwrap();
            other.rollback().unwrap();
        });
        let is_blocked = format!("SELECT cardinality(pg_blocking_pids({waiting}))::bigint");
        wait_until("the other transaction waits for a lock", || {
            number(bus, &is_blocked) > 0
        });
        // The transaction that checks for a deadlock first is rolled back.
        take(bus, 2)
    })
}

#[test]
fn a_deadlock_is_transient_in_every_language() {
    in_each_language("SET deadlock_timeout = '10ms'", &deadlock, may_pass);
}

#[test]
fn the_server_answers_in_each_language() {
    for (language, text) in LANGUAGES {
        let database = Postgres::create();
        let mut bus = database.connect();
        let set = format!(
            "SET lc_messages = '{language}'; SET deadlock_timeout = '10ms';
            CREATE TABLE stock (id integer PRIMARY KEY, amount integer);
            INSERT INTO stock VALUES (1, 1), (2, 1)"
        );
        bus.batch_execute(&set).unwrap();
        bus.begin().unwrap();
        let error = deadlock(&database, &mut bus).unwrap_err();
        assert_eq!(
            error.to_string(),
            text,
            "is the locale {language} installed?"
        );
    }
}

#[test]
fn a_lock_timeout_is_transient_in_every_language() {
    let met = |database: &Postgres, bus: &mut PgConnection| {
        let _other = lock_in_other_transaction(database, 1);
        take(bus, 1)
    };
    in_each_language("SET lock_timeout = '20ms'", &met, may_pass);
}

#[test]
fn an_unavailable_lock_is_transient_in_every_language() {
    let met = |database: &Postgres, bus: &mut PgConnection| {
        let _other = lock_in_other_transaction(database, 1);
        let look = diesel::sql_query("SELECT * FROM stock FOR UPDATE NOWAIT");
        Ok(look.execute(bus).map(drop)?)
    };
    in_each_language("", &met, may_pass);
}

#[test]
fn a_statement_timeout_is_transient_in_every_language() {
    let met = |_: &Postgres, bus: &mut PgConnection| {
        Ok(diesel::sql_query("SELECT pg_sleep(60)")
            .execute(bus)
            .map(drop)?)
    };
    in_each_language("SET statement_timeout = '500ms'", &met, may_pass);
}

#[test]
fn a_cancelled_statement_is_transient_in_every_language() {
    let met = |database: &Postgres, bus: &mut PgConnection| {
        let (mut other, victim) = (database.connect(), pid(bus));
        thread::scope(|scope| {
            scope.spawn(move || {
                let sleeps = format!(
                    "SELECT count(*) FROM pg_stat_activity
                    WHERE pid = {victim} AND wait_event = 'PgSleep'"
                );
                wait_until("the statement runs", || number(&mut other, &sleeps) > 0);
                number(
                    &mut other,
                    &format!("SELECT pg_cancel_backend({victim})::int::bigint"),
                );
            });
            Ok(diesel::sql_query("SELECT pg_sleep(60)")
                .execute(bus)
                .map(drop)?)
        })
    };
    in_each_language("", &met, may_pass);
}

/// The handler uses its own transaction, because those of the bus are READ COMMITTED.
#[test]
fn a_concurrent_update_is_transient_in_every_language() {
    let met = |database: &Postgres, bus: &mut PgConnection| {
        let language = diesel::dsl::sql::<Text>("SELECT current_setting('lc_messages')");
        let language: String = language.get_result(bus)?;
        let [mut own, mut other] = [(); 2].map(|()| database.connect());
        own.batch_execute(&format!("SET lc_messages = '{language}'"))?;
        Postgres::begin_with(&mut own, "REPEATABLE READ");
        number(&mut own, "SELECT amount::bigint FROM stock WHERE id = 1");
        take(&mut other, 1)?;
        take(&mut own, 1)
    };
    in_each_language("", &met, may_pass);
}

#[test]
fn a_terminated_connection_is_reported_as_disconnected() {
    let met = |database: &Postgres, bus: &mut PgConnection| {
        let end = format!(
            "SELECT pg_terminate_backend({}, 10000)::int::bigint",
            pid(bus)
        );
        assert_eq!(number(&mut database.connect(), &end), 1);
        take(bus, 1)
    };
    in_each_language("", &met, is_lost);
}

#[test]
fn an_idle_transaction_timeout_is_reported_as_disconnected() {
    let met = |database: &Postgres, bus: &mut PgConnection| {
        let (mut other, own) = (database.connect(), pid(bus));
        bus.batch_execute("SET idle_in_transaction_session_timeout = '10ms'")?;
        let lives = format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {own}");
        wait_until("the session ends", || number(&mut other, &lives) == 0);
        take(bus, 1)
    };
    in_each_language("", &met, is_lost);
}

#[test]
fn a_commit_on_a_terminated_connection_is_reported_as_disconnected() {
    let met = |database: &Postgres, bus: &mut PgConnection| {
        let end = format!(
            "SELECT pg_terminate_backend({}, 10000)::int::bigint",
            pid(bus)
        );
        assert_eq!(number(&mut database.connect(), &end), 1);
        Ok(())
    };
    texts_in_each_language("", &met, is_lost);
}

#[test]
fn a_dispatch_into_a_lock_is_transient_in_every_language() {
    let met = |database: &Postgres, bus: &mut PgConnection| {
        let mut other = database.connect();
        other.begin().unwrap();
        other.batch_execute("LOCK TABLE public_messages").unwrap();
        orders().dispatch(bus, &OrderPlaced::number(2))?;
        Ok(())
    };
    in_each_language("SET lock_timeout = '20ms'", &met, may_pass);
}

/// With plain storage, the values of the column must fit into a page of the table.
#[test]
fn a_message_that_is_too_large_for_its_table_is_named() {
    for (language, _) in LANGUAGES {
        let database = Postgres::create();
        let mut bus = database.connect();
        let settings = format!(
            "SET lc_messages = '{language}';
            ALTER TABLE public_messages ALTER COLUMN payload SET STORAGE PLAIN"
        );
        bus.batch_execute(&settings).unwrap();
        let note = "x".repeat(20_000);
        let error = orders()
            .dispatch(&mut bus, &OrderPlaced { order: 1, note })
            .unwrap_err();
        assert!(error.is_too_large() && !error.is_retryable(), "{error:?}");
        let text = error.to_string();
        for part in ["OrderPlaced", "topic \"orders\"", "message id", " bytes)"] {
            assert!(text.contains(part), "{text}");
        }
    }
}

/// This holds in all languages, because Diesel has a kind for this error.
#[test]
fn a_read_only_server_is_reported_as_disconnected() {
    let database = Postgres::create();
    let mut bus = database.connect();
    bus.batch_execute("SET default_transaction_read_only = on; SET lc_messages = 'de_DE.UTF-8'")
        .unwrap();
    let error = orders()
        .dispatch(&mut bus, &OrderPlaced::number(1))
        .unwrap_err();
    is_lost(&error);
}

#[test]
fn an_outdated_plan_is_reported_as_disconnected() {
    let met = |_: &Postgres, bus: &mut PgConnection| {
        let amounts = || stock::table.select(stock::amount);
        amounts().load::<i32>(bus)?;
        bus.batch_execute("ALTER TABLE stock ALTER COLUMN amount TYPE bigint")?;
        Ok(amounts().load::<i32>(bus).map(drop)?)
    };
    in_each_language("", &met, is_lost);
}

#[test]
fn a_statement_in_an_aborted_transaction_names_the_earlier_failure() {
    for (language, _) in LANGUAGES {
        let database = Postgres::create();
        let mut bus = database.connect();
        bus.batch_execute(&format!("SET lc_messages = '{language}'"))
            .unwrap();
        bus.begin().unwrap();
        bus.batch_execute("SELECT 1 / 0").unwrap_err();
        let error = orders()
            .dispatch(&mut bus, &OrderPlaced::number(1))
            .unwrap_err();
        assert!(
            !error.is_retryable() && !error.is_disconnected(),
            "{error:?}"
        );
        let text = error.to_string();
        assert!(
            text.contains("an earlier statement of the transaction has failed"),
            "{text}"
        );
    }
}
