//! A trigger of the message table whose own insert fails for a duplicate.

use diesel::connection::SimpleConnection;
use persisting_message_bus::OnDuplicate;
use persisting_message_bus::backend::{
    MessageRepository, MessageSource, RawMessage, TransactionControl,
};
use persisting_message_bus::sql::{TableSchema, guard_foreign_inserts};
use persisting_message_bus_tests::databases::{Database, Mariadb};
use persisting_message_bus_tests::topics::raw_message;

fn message() -> RawMessage {
    raw_message("orders", "{}".to_owned())
}

#[test]
fn a_message_whose_id_only_another_table_has_is_no_duplicate() {
    id_of_another_table(&TableSchema::default());
}

#[test]
fn a_message_whose_id_only_another_table_has_is_no_duplicate_with_the_guard() {
    id_of_another_table(&TableSchema::default().with_foreign_inserts());
}

/// The trigger's table knows the message already. The error of that table names the message's id.
fn id_of_another_table(schema: &TableSchema) {
    let database = Mariadb::create();
    let mut connection = database.connect();
    let mut bus = schema.bind(&mut connection);
    if *schema != TableSchema::default() {
        guard_foreign_inserts(&mut bus).unwrap();
    }
    let mut connection = database.connect();
    connection
        .batch_execute(
            "CREATE TABLE audit (message_id VARCHAR(36) PRIMARY KEY);
         CREATE TRIGGER audits BEFORE INSERT ON public_messages
         FOR EACH ROW INSERT INTO audit VALUES (NEW.message_id)",
        )
        .unwrap();
    let (stored, refused) = (message(), message());
    bus.persist(std::slice::from_ref(&stored), OnDuplicate::Fail)
        .unwrap();
    connection
        .batch_execute(&format!(
            "INSERT INTO audit VALUES ('{}')",
            refused.message_id
        ))
        .unwrap();
    for is_in_transaction in [false, true] {
        for duplicates in [OnDuplicate::Fail, OnDuplicate::Ignore] {
            for batch in [vec![refused.clone()], vec![stored.clone(), refused.clone()]] {
                if is_in_transaction {
                    bus.begin().unwrap();
                }
                let is_stored_named = batch.len() == 2 && duplicates == OnDuplicate::Fail;
                let error = bus.persist(&batch, duplicates).unwrap_err();
                assert_eq!(error.is_duplicate(), is_stored_named, "{error:#}");
                assert!(format!("{error:#}").contains("Duplicate entry") || is_stored_named);
                if is_in_transaction {
                    bus.rollback().unwrap();
                }
            }
            let ignored = bus.persist(std::slice::from_ref(&stored), OnDuplicate::Ignore);
            assert_eq!(ignored.unwrap(), 0);
        }
    }
    let stored_now = bus.position_of("orders", refused.message_id).unwrap();
    assert_eq!(stored_now, None);
}

#[test]
fn a_duplicate_that_was_committed_after_the_snapshot_is_one() {
    let database = Mariadb::create();
    let [mut bus, mut other] = [(); 2].map(|()| database.connect());
    let message = message();
    bus.begin().unwrap();
    bus.batch_execute("SELECT 1 FROM public_messages").unwrap();
    other
        .persist(std::slice::from_ref(&message), OnDuplicate::Fail)
        .unwrap();
    let batch = std::slice::from_ref(&message);
    assert_eq!(bus.persist(batch, OnDuplicate::Ignore).unwrap(), 0);
    let error = bus.persist(batch, OnDuplicate::Fail).unwrap_err();
    assert!(error.is_duplicate(), "{error:#}");
    bus.rollback().unwrap();
}

#[test]
fn a_message_that_is_twice_in_its_batch_is_a_duplicate() {
    let database = Mariadb::create();
    let mut bus = database.connect();
    let message = message();
    let batch = [message.clone(), message];
    let error = bus.persist(&batch, OnDuplicate::Fail).unwrap_err();
    assert!(error.is_duplicate(), "{error:#}");
}
