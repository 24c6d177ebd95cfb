//! Leases: one row for each consumer and topic, although the key includes the epoch.

use persisting_message_bus::operate::{ConsumerKey, end_lease};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use diesel::connection::{InstrumentationEvent, SimpleConnection};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Text};
use persisting_message_bus::Position;
use persisting_message_bus::backend::{
    CursorUpdate, Lease, LeaseRequest, MessageConsumerState, Place, TransactionControl,
};
use persisting_message_bus_tests::databases::{Database, Postgres};
use persisting_message_bus_tests::waiting::wait_until;

fn request(owner: &str) -> LeaseRequest<'_> {
    LeaseRequest {
        consumer: "all",
        topic: "orders",
        segment: None,
        owner,
        duration: Duration::from_secs(3_600),
        identity: Default::default(),
        hands_out: false,
    }
}

fn store_and_release(connection: &mut PgConnection, lease: &Lease, position: i64) {
    let store = CursorUpdate {
        place: Place::unanchored(Some(Position::new(position))),
        extend_lease: None,
    };
    connection.store_cursor(lease, &store).unwrap();
}

fn wait_until_a_lock_is_awaited(connection: &mut PgConnection) {
    let waits = "SELECT EXISTS (SELECT FROM pg_stat_activity
        WHERE wait_event_type = 'Lock' AND application_name = current_schema())";
    wait_until("a session waits for a lock", || {
        sql::<Bool>(waits).get_result(connection).unwrap()
    });
}

#[test]
fn two_first_acquisitions_insert_one_row() {
    let database = Postgres::create();
    let (mut one, mut observer) = (database.connect(), database.connect());
    one.begin().unwrap();
    let first = one.acquire(&request("one")).unwrap();
    store_and_release(&mut one, &first, 5);
    let second = one.acquire(&request("one")).unwrap();
    store_and_release(&mut one, &second, 7);
    let lease = thread::scope(|scope| {
        let mut other = database.connect();
        // The name identifies this session among those of other tests.
        let schema: String = sql::<Text>("SELECT current_schema()::text")
            .get_result(&mut other)
            .unwrap();
        let name = format!("SET application_name = '{schema}'");
        other.batch_execute(&name).unwrap();
        let late = scope.spawn(move || other.acquire(&request("other")).unwrap());
        wait_until_a_lock_is_awaited(&mut observer);
        one.commit().unwrap();
        late.join().unwrap()
    });
    assert_eq!((lease.epoch, lease.cursor), (3, Some(Position::new(7))));
    let rows: i64 = sql::<BigInt>("SELECT count(*) FROM message_consumer_state")
        .get_result(&mut observer)
        .unwrap();
    assert_eq!(rows, 1);
}

#[test]
fn a_new_consumer_is_refused_when_other_rows_are_not_visible() {
    let database = Postgres::create();
    let mut connection = database.connect();
    connection
        .batch_execute("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        .unwrap();
    let error = connection.acquire(&request("one")).unwrap_err();
    let text = format!("{error:?}");
    assert!(
        text.contains("all") && text.contains("READ COMMITTED"),
        "{text}"
    );
    let status = connection
        .stored_consumer(ConsumerKey {
            consumer: "all",
            topic: "orders",
        })
        .unwrap();
    assert_eq!(status, None);
}

#[test]
fn a_transaction_that_acquires_a_lease_keeps_its_synchronous_commit() {
    let database = Postgres::create();
    let mut connection = database.connect();
    let lease = connection.acquire(&request("one")).unwrap();
    connection.release(&lease).unwrap();
    let synchronous_commit = |connection: &mut PgConnection| -> String {
        sql::<Text>("SHOW synchronous_commit")
            .get_result(connection)
            .unwrap()
    };
    let before = synchronous_commit(&mut connection);
    connection.begin().unwrap();
    connection.acquire(&request("one")).unwrap();
    assert_eq!(synchronous_commit(&mut connection), before);
    connection.commit().unwrap();
    assert_eq!(synchronous_commit(&mut connection), before);
}

/// A holder that is frozen in a transaction keeps the row locked, for as long as the server lets it.
/// No other write comes before the handler. If the server forgot the lease in a crash, another holder could
/// take it with the same epoch beside that handler.
#[test]
fn a_lease_under_which_a_page_is_handed_out_waits_for_the_disk() {
    let database = Postgres::create();
    let mut connection = database.connect();
    for hands_out in [false, true, false] {
        let lease = connection.acquire(&request("before")).unwrap();
        connection.release(&lease).unwrap();
        let statements = Arc::<Mutex<Vec<String>>>::default();
        let seen = Arc::clone(&statements);
        connection.set_instrumentation(move |event: InstrumentationEvent<'_>| {
            if let InstrumentationEvent::StartQuery { query, .. } = event {
                seen.lock().unwrap().push(query.to_string());
            }
        });
        let request = LeaseRequest {
            hands_out,
            ..request("one")
        };
        let lease = connection.acquire(&request).unwrap();
        connection.release(&lease).unwrap();
        let statements = statements.lock().unwrap();
        let does_not_wait = |sql: &String| sql.contains("'synchronous_commit', 'off'");
        assert_eq!(statements.iter().any(does_not_wait), !hands_out);
    }
}

#[test]
fn ending_a_lease_does_not_wait_without_end_for_an_open_transaction() {
    let database = Postgres::create();
    let (mut holder, mut operator) = (database.connect(), database.connect());
    let lease = holder.acquire(&request("frozen")).unwrap();
    holder.begin().unwrap();
    holder.renew(&lease, Duration::from_secs(60)).unwrap();
    let key = ConsumerKey {
        consumer: "all",
        topic: "orders",
    };
    let begun = Instant::now();
    let error = end_lease(&mut operator, key).unwrap_err();
    assert!(error.is_retryable(), "{error:?}");
    assert!(format!("{error:#}").contains("pg_terminate_backend"));
    assert!(begun.elapsed() < Duration::from_secs(30));
    holder.commit().unwrap();
    assert!(end_lease(&mut operator, key).unwrap());
    assert!(
        holder
            .renew(&lease, Duration::from_secs(60))
            .unwrap_err()
            .is_lease_lost()
    );
}
