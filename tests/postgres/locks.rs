//! Servers whose locks do not lock.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use persisting_message_bus::backend::{MessageSource, TransactionControl};
use persisting_message_bus::operate::{ConsumerKey, ConsumerStatus};
use persisting_message_bus::sql::migrate;
use persisting_message_bus::{Error, Message, MessageConsumer};
use persisting_message_bus_tests::databases::{Database, OwnPostgres, Postgres};
use persisting_message_bus_tests::statements::Log;
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};

use super::{consume, orders};

/// Changes of the server's catalog after which its locks are like those of other servers: functions
/// that do nothing, and an empty view.
const WITHOUT_LOCKS: [&str; 2] = [
    "ALTER FUNCTION pg_catalog.pg_advisory_xact_lock_shared(bigint) RENAME TO lock_of_server;
    CREATE FUNCTION pg_catalog.pg_advisory_xact_lock_shared(bigint) RETURNS void
        LANGUAGE plpgsql AS $$ BEGIN END $$",
    "ALTER VIEW pg_catalog.pg_locks RENAME TO locks_of_server;
    CREATE VIEW pg_catalog.pg_locks AS SELECT * FROM locks_of_server WHERE false",
];

fn assert_refused(error: &Error) {
    let text = format!("{error:#}");
    assert!(!error.is_retryable(), "{text}");
    for part in [
        "pg_locks",
        "pg_advisory_xact_lock_shared",
        "PostgreSQL 1",
        "Use PostgreSQL itself",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn a_server_whose_locks_do_not_lock_is_refused_by_every_reader() {
    for change in WITHOUT_LOCKS {
        let database = OwnPostgres::create();
        database.change_catalog(change);
        let [mut late, mut early, mut reader] = [(); 3].map(|()| database.connect());
        late.begin().unwrap();
        orders()
            .dispatch(&mut late, &OrderPlaced::number(1))
            .unwrap();
        orders()
            .dispatch(&mut early, &OrderPlaced::number(2))
            .unwrap();
        let mut consumer =
            MessageConsumer::external("all", |_: &Message<Orders>| panic!("it is read"));
        for _ in 0..2 {
            assert_refused(&consumer.handle_new_messages(&mut reader).unwrap_err());
        }
        assert_refused(&reader.current_head("orders").unwrap_err());
        let key = ConsumerKey {
            consumer: "all",
            topic: "orders",
        };
        assert_refused(&ConsumerStatus::read(&mut reader, key).unwrap_err());
        late.commit().unwrap();
        assert_refused(&consumer.handle_new_messages(&mut reader).unwrap_err());
    }
}

#[test]
fn tables_are_not_created_where_locks_do_not_lock() {
    for change in WITHOUT_LOCKS {
        let database = OwnPostgres::create_empty();
        database.change_catalog(change);
        let mut bus = database.connect();
        assert_refused(&migrate(&mut bus).unwrap_err());
        let tables: i64 = diesel::dsl::sql::<diesel::sql_types::BigInt>(
            "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'",
        )
        .get_result(&mut bus)
        .unwrap();
        assert_eq!(tables, 0);
    }
}

#[test]
fn a_session_checks_its_locks_once() {
    let database = Postgres::create();
    let mut bus = database.connect();
    orders()
        .dispatch(&mut bus, &OrderPlaced::number(1))
        .unwrap();
    let checks = |log: &Log| {
        let statements = log.statements();
        let checks = statements.iter();
        checks.filter(|text| text.contains("version()")).count()
    };
    let log = Log::default();
    log.watch(&mut bus);
    assert_eq!(consume(&mut bus), [1]);
    assert!(consume(&mut bus).is_empty());
    bus.current_head("orders").unwrap();
    assert_eq!(checks(&log), 1);
    // Another connection can reach another server.
    let mut another = database.connect();
    let log = Log::default();
    log.watch(&mut another);
    assert!(consume(&mut another).is_empty());
    assert_eq!(checks(&log), 1);
}

/// The session looks for its own lock. The locks of other sessions do not count.
#[test]
fn the_check_of_one_session_holds_back_no_reader() {
    let database = Postgres::create();
    let [mut slow, mut bus] = [(); 2].map(|()| database.connect());
    slow.batch_execute("BEGIN").unwrap();
    slow.current_head("orders").unwrap();
    orders()
        .dispatch(&mut bus, &OrderPlaced::number(1))
        .unwrap();
    assert_eq!(consume(&mut bus), [1]);
    slow.batch_execute("COMMIT").unwrap();
}
