//! Failing statements, and their effect on the transaction.

use chrono::{DateTime, Utc};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use persisting_message_bus::backend::{
    CursorUpdate, LeaseRequest, MessageConsumerState, MessageRepository, MessageSource, Place,
    RawMessage, Slot, TransactionControl,
};
use persisting_message_bus::{Error, OnDuplicate, Position};
use persisting_message_bus_tests::databases::{Database, Mariadb};
use persisting_message_bus_tests::topics::OrderPlaced;
use uuid::Uuid;

use super::{consume, orders};

#[test]
fn a_deadlock_can_be_retried_and_the_connection_stays_usable() {
    let database = Mariadb::create();
    let [mut one, mut other] = [(); 2].map(|()| database.connect());
    orders()
        .dispatch(&mut one, &OrderPlaced::number(0))
        .unwrap();
    one.batch_execute(
        "CREATE TABLE stock (id INTEGER PRIMARY KEY); INSERT INTO stock VALUES (1), (2)",
    )
    .unwrap();
    // The victim of the deadlock has published before.
    let take = |connection: &mut MysqlConnection,
                order: u64,
                first: u64,
                second: u64,
                start: &std::sync::Barrier| {
        connection.in_transaction(|connection| {
            orders().dispatch(connection, &OrderPlaced::number(order))?;
            lock(connection, first)?;
            start.wait();
            lock(connection, second)
        })
    };
    let start = std::sync::Barrier::new(2);
    let (first, second) = std::thread::scope(|scope| {
        let first = scope.spawn(|| take(&mut one, 1, 1, 2, &start));
        let second = scope.spawn(|| take(&mut other, 2, 2, 1, &start));
        (first.join().unwrap(), second.join().unwrap())
    });
    let committed = if first.is_ok() { 1 } else { 2 };
    let victim = first.and(second).unwrap_err();
    assert!(victim.is_retryable(), "{victim:?}");
    for connection in [&mut one, &mut other] {
        let again: Result<_, Error> = connection
            .in_transaction(|connection| orders().dispatch(connection, &OrderPlaced::number(3)));
        again.unwrap();
    }
    assert_eq!(consume(&mut one), [0, committed, 3, 3]);
}

#[test]
fn a_lost_connection_is_reported_as_disconnected() {
    let database = Mariadb::create();
    let [mut one, mut other] = [(); 2].map(|()| database.connect());
    let end = diesel::sql_query("KILL CONNECTION CONNECTION_ID()");
    let error = Error::from(end.execute(&mut one).unwrap_err());
    assert!(error.is_disconnected(), "{error:?}");
    let error = orders()
        .dispatch(&mut one, &OrderPlaced::number(1))
        .unwrap_err();
    assert!(error.is_disconnected() && error.is_retryable(), "{error:?}");
    orders()
        .dispatch(&mut other, &OrderPlaced::number(1))
        .unwrap();
}

fn lock(connection: &mut MysqlConnection, id: u64) -> Result<(), Error> {
    diesel::sql_query(format!("UPDATE stock SET id = id WHERE id = {id}")).execute(connection)?;
    diesel::sql_query(format!("SELECT * FROM stock WHERE id = {id} FOR UPDATE"))
        .execute(connection)?;
    Ok(())
}

fn raw(message_id: Uuid) -> RawMessage {
    RawMessage {
        message_id,
        topic: "orders".into(),
        message_type: "OrderShipped".into(),
        message_version: 1,
        payload: r#"{"order":7}"#.to_owned(),
        headers: "{}".to_owned(),
        published_at: Utc::now(),
        correlation_id: None,
        key_slot: Slot::NONE,
    }
}

#[test]
fn duplicates_are_counted_when_the_snapshot_does_not_see_them() {
    let database = Mariadb::create();
    let [mut one, mut other] = [(); 2].map(|()| database.connect());
    let messages: Vec<_> = (0..600).map(|_| raw(Uuid::now_v7())).collect();
    one.begin().unwrap();
    one.batch_execute("SELECT count(*) FROM public_messages")
        .unwrap();
    let some = &messages[100..333];
    assert_eq!(other.persist(some, OnDuplicate::Fail).unwrap(), 233);
    let repeated: Vec<_> = messages.iter().chain(&messages[..50]).cloned().collect();
    let error = one.persist(&repeated, OnDuplicate::Fail).unwrap_err();
    assert!(error.is_duplicate(), "{error:?}");
    assert_eq!(one.persist(&repeated, OnDuplicate::Ignore).unwrap(), 367);
    assert_eq!(one.persist(&repeated, OnDuplicate::Ignore).unwrap(), 0);
    one.commit().unwrap();
    assert_eq!(consume(&mut other).len(), 600);
}

#[test]
fn a_batch_of_several_statements_is_all_or_nothing() {
    let database = Mariadb::create();
    let mut bus = database.connect();
    let known = raw(Uuid::now_v7());
    bus.persist(std::slice::from_ref(&known), OnDuplicate::Fail)
        .unwrap();
    // The duplicate is in the last statement.
    let mut batch: Vec<_> = (0..77).map(|_| raw(Uuid::now_v7())).collect();
    batch.push(known);

    let error = bus.persist(&batch, OnDuplicate::Fail).unwrap_err();
    assert!(error.is_duplicate(), "{error:?}");
    assert_eq!(consume(&mut bus), [7]);

    bus.begin().unwrap();
    bus.persist(&batch, OnDuplicate::Fail).unwrap_err();
    bus.persist(&[raw(Uuid::now_v7())], OnDuplicate::Fail)
        .unwrap();
    bus.commit().unwrap();
    assert_eq!(consume(&mut bus), [7]);
}

/// The same applies when duplicates are ignored, where rows are inserted one by one.
#[test]
fn a_batch_without_its_duplicates_is_all_or_nothing() {
    let database = Mariadb::create();
    let mut bus = database.connect();
    let known = raw(Uuid::now_v7());
    bus.persist(std::slice::from_ref(&known), OnDuplicate::Fail)
        .unwrap();
    let mut batch: Vec<_> = (0..77).map(|_| raw(Uuid::now_v7())).collect();
    batch[0] = known;
    let mut too_long = raw(Uuid::now_v7());
    too_long.correlation_id = Some("flow".repeat(1_000));
    batch.push(too_long);

    bus.begin().unwrap();
    bus.persist(&batch, OnDuplicate::Ignore).unwrap_err();
    bus.persist(&[raw(Uuid::now_v7())], OnDuplicate::Fail)
        .unwrap();
    bus.commit().unwrap();
    assert_eq!(consume(&mut bus), [7, 7]);
}

#[test]
fn a_leap_second_becomes_the_following_second() {
    let database = Mariadb::create();
    let mut bus = database.connect();
    let mut message = raw(Uuid::now_v7());
    let time = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
    message.published_at = time("2016-12-31T23:59:60.123456Z");
    bus.persist(&[message], OnDuplicate::Fail).unwrap();
    let backlog = bus.backlog("orders", Position::START).unwrap();
    assert_eq!(backlog.oldest, Some(time("2017-01-01T00:00:00.123456Z")));
}

#[test]
fn a_duplicate_in_an_open_transaction_does_not_stop_other_publishers() {
    for duplicates in [OnDuplicate::Fail, OnDuplicate::Ignore] {
        for before in [1, 10, 200] {
            let database = Mariadb::create();
            let [mut one, mut other] = [(); 2].map(|()| database.connect());
            let known: Vec<_> = (0..before).map(|_| raw(Uuid::now_v7())).collect();
            other.persist(&known, OnDuplicate::Fail).unwrap();
            one.begin().unwrap();
            let new = raw(Uuid::now_v7());
            let persisted = one.persist(&[new, known[0].clone()], duplicates);
            match duplicates {
                OnDuplicate::Fail => assert!(persisted.unwrap_err().is_duplicate()),
                OnDuplicate::Ignore => assert_eq!(persisted.unwrap(), 1),
            }
            other
                .batch_execute("SET innodb_lock_wait_timeout = 1")
                .unwrap();
            for _ in 0..3 {
                other
                    .persist(&[raw(Uuid::now_v7())], OnDuplicate::Fail)
                    .unwrap();
            }
            one.commit().unwrap();
        }
    }
}

#[test]
fn a_violation_of_another_unique_index_is_no_duplicate() {
    let database = Mariadb::create();
    let mut bus = database.connect();
    bus.batch_execute("ALTER TABLE public_messages ADD UNIQUE KEY (published_at)")
        .unwrap();
    let known = raw(Uuid::now_v7());
    bus.persist(std::slice::from_ref(&known), OnDuplicate::Fail)
        .unwrap();
    let mut other = raw(Uuid::now_v7());
    other.published_at = known.published_at;
    for duplicates in [OnDuplicate::Fail, OnDuplicate::Ignore] {
        let error = bus.persist(&[other.clone()], duplicates).unwrap_err();
        assert!(!error.is_duplicate(), "{error:?}");
    }
    assert_eq!(bus.persist(&[known], OnDuplicate::Ignore).unwrap(), 0);
}

#[test]
fn an_oversized_value_fails_when_duplicates_are_ignored() {
    let database = Mariadb::create();
    let mut bus = database.connect();
    bus.batch_execute("ALTER TABLE public_messages MODIFY payload VARCHAR(20) NOT NULL")
        .unwrap();
    let mut long = raw(Uuid::now_v7());
    long.payload = format!(r#"{{"order":{}}}"#, u64::MAX);
    for duplicates in [OnDuplicate::Fail, OnDuplicate::Ignore] {
        let error = bus
            .persist(&[raw(Uuid::now_v7()), long.clone()], duplicates)
            .unwrap_err();
        assert!(format!("{error:#}").contains("payload"), "{error:#}");
    }
    assert!(consume(&mut bus).is_empty());
}

#[test]
fn a_batch_of_large_messages_stays_below_the_packet_size() {
    let database = Mariadb::create();
    let mut bus = database.connect();
    let batch = (0..40).map(|order| OrderPlaced {
        order,
        note: "x".repeat(1_000_000),
    });
    orders().dispatch_batch(&mut bus, batch).unwrap();
    assert_eq!(consume(&mut bus), (0..40).collect::<Vec<_>>());
}

#[test]
fn acquiring_a_lease_does_not_wait_for_its_holders_transaction() {
    let database = Mariadb::create();
    let [mut one, mut other] = [(); 2].map(|()| database.connect());
    let request = |owner| LeaseRequest {
        consumer: "all",
        topic: "orders",
        segment: None,
        owner,
        duration: std::time::Duration::from_secs(60),
        identity: Default::default(),
        hands_out: false,
    };
    let lease = one.acquire(&request("one")).unwrap();
    one.begin().unwrap();
    let store = CursorUpdate {
        place: Place::unanchored(Some(Position::new(1))),
        extend_lease: None,
    };
    one.store_cursor(&lease, &store).unwrap();
    let error = other.acquire(&request("other")).unwrap_err();
    assert!(error.is_lease_held(), "{error:?}");
    one.commit().unwrap();
    assert_eq!(other.acquire(&request("other")).unwrap().epoch, 2);
}
