//! A deadlock on MariaDB rolls back the whole transaction, and the connection continues without
//! one.

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::{Connection, MysqlConnection, RunQueryDsl};
use persisting_message_bus::handler::HandlerError;
use persisting_message_bus::{FailurePolicy, Message, MessageConsumer};
use persisting_message_bus_tests::databases::{Database, Mariadb};
use persisting_message_bus_tests::topics::Orders;
use persisting_message_bus_tests::waiting::wait_until_every;

use super::sql::{Sql, effect, effects};
use super::unwatched::Count;
use super::{at_once, cursor, order, parked, place, positions};

const GUILTY: u64 = 4;

/// The interval at which transactions are observed. The server refreshes its table of transactions
/// only if no connection has queried it for 100 ms.
const REFRESH: Duration = Duration::from_millis(150);

/// Provokes a deadlock with another connection. The server rolls back the handler's transaction,
/// because that one has written less.
fn deadlock(database: &Mariadb, bus: &mut MysqlConnection) -> diesel::QueryResult<()> {
    bus.batch_execute("UPDATE locks SET used = used + 1 WHERE number = 1")?;
    let (tell, told) = channel();
    let mut other = database.connect();
    let mut watcher = database.connect();
    thread::scope(|scope| {
        scope.spawn(move || {
            let session = Mariadb::numbers(&mut other, "SELECT CAST(connection_id() AS SIGNED)")[0];
            other.begin_test_transaction().unwrap();
            let many = "INSERT INTO scratch WITH RECURSIVE n (i) AS (
                SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) SELECT i FROM n";
            other.batch_execute(many).unwrap();
            let two = "UPDATE locks SET used = used + 1 WHERE number = 2";
            other.batch_execute(two).unwrap();
            tell.send(session).unwrap();
            // This transaction waits for the handler, and then the handler waits for it.
            let one = "UPDATE locks SET used = used + 1 WHERE number = 1";
            other.batch_execute(one).unwrap();
            other.batch_execute("ROLLBACK").unwrap();
        });
        let session = told.recv().unwrap();
        let waits = format!(
            "SELECT count(*) FROM information_schema.innodb_trx
             WHERE trx_mysql_thread_id = {session} AND trx_state = 'LOCK WAIT'"
        );
        wait_until_every(REFRESH, "the other transaction waits for a lock", || {
            Mariadb::numbers(&mut watcher, &waits) == [1]
        });
        bus.batch_execute("UPDATE locks SET used = used + 1 WHERE number = 2")
    })
}

/// Runs a consumer until it has caught up. One message runs into a deadlock once.
fn run(
    handler: impl Fn(&Mariadb, &mut MysqlConnection) -> Result<(), HandlerError>,
) -> (Mariadb, MysqlConnection) {
    run_with(|_| Ok(()), handler)
}

/// Does the same, with a closure that the message before it runs.
fn run_with(
    before: impl Fn(bool) -> Result<(), HandlerError>,
    handler: impl Fn(&Mariadb, &mut MysqlConnection) -> Result<(), HandlerError>,
) -> (Mariadb, MysqlConnection) {
    // Several tests that query at once would keep the server's cached answer from being refreshed.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let (database, mut bus) = Mariadb::prepare();
    bus.batch_execute(
        "CREATE TABLE locks (number int PRIMARY KEY, used int NOT NULL DEFAULT 0);
         INSERT INTO locks (number) VALUES (1), (2)",
    )
    .unwrap();
    place(&mut bus, 1..10);
    let mut done = false;
    let mut consumer = MessageConsumer::<Orders>::transactional(
        "all",
        |bus: &mut MysqlConnection, message: &Message<Orders>| {
            effect(bus, order(message))?;
            if order(message) == GUILTY - 1 {
                before(done)?;
            }
            if order(message) == GUILTY && !std::mem::replace(&mut done, true) {
                handler(&database, bus)?;
            }
            Ok(())
        },
    )
    .retry(at_once(2, FailurePolicy::Park));
    for _ in 0..6 {
        let _failed_once = consumer.handle_new_messages(&mut bus);
    }
    drop(consumer);
    assert_eq!(cursor(&mut bus, "all"), 9);
    (database, bus)
}

#[test]
fn a_returned_deadlock_does_not_count_as_an_attempt() {
    let (_database, mut bus) = run(|database, bus| Ok(deadlock(database, bus)?));
    assert_eq!(positions(&parked(&mut bus, "all")), []);
    assert_eq!(effects::<Mariadb>(&mut bus, 1..10), [1; 9]);
}

/// Diesel rolls back to a savepoint that no longer exists on the server.
#[test]
fn a_deadlock_in_a_nested_transaction_does_not_count_as_an_attempt() {
    let (_database, mut bus) =
        run(|database, bus| Ok(bus.transaction(|bus| deadlock(database, bus))?));
    assert_eq!(positions(&parked(&mut bus, "all")), []);
    assert_eq!(effects::<Mariadb>(&mut bus, 1..10), [1; 9]);
}

#[test]
fn reads_after_a_deadlock_make_nothing_final() {
    let (_database, mut bus) = run(|database, bus| {
        let met = deadlock(database, bus);
        assert_eq!(Mariadb::numbers(bus, "SELECT count(*) FROM locks"), [2]);
        Ok(met?)
    });
    assert_eq!(positions(&parked(&mut bus, "all")), []);
    assert_eq!(effects::<Mariadb>(&mut bus, 1..10), [1; 9]);
}

#[test]
fn a_violation_that_is_ignored_before_a_deadlock_makes_nothing_final() {
    let (_database, mut bus) = run(|database, bus| {
        let twice = diesel::sql_query("INSERT INTO once VALUES (1)");
        twice.execute(bus).unwrap_err();
        bus.batch_execute("INSERT INTO scratch VALUES (1)")?;
        Ok(deadlock(database, bus)?)
    });
    assert_eq!(positions(&parked(&mut bus, "all")), []);
    assert_eq!(effects::<Mariadb>(&mut bus, 1..10), [1; 9]);
}

/// The application sets its own instrumentation, so the library does not watch the statements.
#[test]
fn an_unwatched_deadlock_does_not_count_as_an_attempt() {
    let (_database, mut bus) = run(|database, bus| {
        let counted = Arc::default();
        bus.set_instrumentation(Count(counted));
        Ok(deadlock(database, bus)?)
    });
    assert_eq!(positions(&parked(&mut bus, "all")), []);
    assert_eq!(effects::<Mariadb>(&mut bus, 1..10), [1; 9]);
}

#[test]
fn an_ignored_deadlock_fails_its_message_only() {
    let (_database, mut bus) = run(|database, bus| {
        deadlock(database, bus).unwrap_err();
        Ok(())
    });
    // Nothing was final, so the message was retried.
    assert_eq!(positions(&parked(&mut bus, "all")), []);
    assert_eq!(effects::<Mariadb>(&mut bus, 1..10), [1; 9]);
}

#[test]
fn effects_after_an_ignored_deadlock_are_final_and_not_repeated() {
    let (_database, mut bus) = run(|database, bus| {
        deadlock(database, bus).unwrap_err();
        Ok(effect(bus, 100)?)
    });
    let failed = parked(&mut bus, "all");
    assert_eq!(positions(&failed), [(GUILTY.cast_signed(), 1)]);
    assert!(failed[0].error.contains("cannot be undone"), "{failed:?}");
    assert_eq!(effects::<Mariadb>(&mut bus, 100..101), [1]);
    let innocent = (1..10).filter(|order| *order != GUILTY);
    assert_eq!(effects::<Mariadb>(&mut bus, innocent), [1; 8]);
}

/// Replays the control `with_the_note_after_the_page` of the transaction model. An earlier message
/// fails when the page is repeated, and the final effects must still be remembered.
#[test]
fn final_effects_are_not_forgotten_when_an_earlier_message_fails() {
    let fails = std::cell::Cell::new(1);
    let (_database, mut bus) = run_with(
        |is_again| {
            if is_again && fails.replace(0) > 0 {
                return Err("no stock".into());
            }
            Ok(())
        },
        |database, bus| {
            deadlock(database, bus).unwrap_err();
            Ok(effect(bus, 100)?)
        },
    );
    assert_eq!(
        positions(&parked(&mut bus, "all")),
        [(GUILTY.cast_signed(), 1)]
    );
    assert_eq!(effects::<Mariadb>(&mut bus, 100..101), [1]);
    let innocent = (1..10).filter(|order| *order != GUILTY);
    assert_eq!(effects::<Mariadb>(&mut bus, innocent), [1; 8]);
}
