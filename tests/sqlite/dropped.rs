//! A trigger of the message table that drops rows.

use diesel::SqliteConnection;
use diesel::connection::SimpleConnection;
use persisting_message_bus::backend::{
    MessageRepository, MessageSource, RawMessage, TransactionControl,
};
use persisting_message_bus::{Error, MessageBus, OnDuplicate, Position, relay};
use persisting_message_bus_tests::consume;
use persisting_message_bus_tests::databases::{Database, Sqlite};
use persisting_message_bus_tests::topics::{OrderPlaced, Orders, raw_message};

use super::orders;

/// Creates a database that drops the messages of an order.
fn create() -> Sqlite {
    let database = Sqlite::create();
    let trigger = "CREATE TRIGGER drops BEFORE INSERT ON public_messages
        WHEN NEW.payload LIKE '%13,%' BEGIN SELECT RAISE(IGNORE); END";
    database.connect().batch_execute(trigger).unwrap();
    database
}

fn message(order: u64) -> RawMessage {
    raw_message("orders", format!(r#"{{"order":{order},"note":""}}"#))
}

#[track_caller]
fn assert_dropped(error: &Error, message: &RawMessage) {
    let text = format!("{error:#}");
    let id = message.message_id.to_string();
    for part in ["trigger", "dropped the row", "\"orders\"", &id] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!error.is_duplicate() && !error.is_retryable(), "{error:?}");
}

#[test]
fn a_dropped_message_is_an_error_and_no_duplicate() {
    let database = create();
    let mut bus = database.connect();
    for duplicates in [OnDuplicate::Fail, OnDuplicate::Ignore] {
        let dropped = message(13);
        let error = bus.persist(std::slice::from_ref(&dropped), duplicates);
        assert_dropped(&error.unwrap_err(), &dropped);
    }
    let error = orders().dispatch(&mut bus, &OrderPlaced::number(13));
    assert!(!error.unwrap_err().is_duplicate());
}

#[test]
fn a_batch_with_a_dropped_message_is_not_stored() {
    let database = create();
    let mut bus = database.connect();
    for count in [2, 600] {
        for duplicates in [OnDuplicate::Fail, OnDuplicate::Ignore] {
            let mut batch: Vec<_> = (0..count).map(|_| message(1)).collect();
            batch.push(message(13));
            assert_dropped(&bus.persist(&batch, duplicates).unwrap_err(), &batch[count]);
            assert_eq!(bus.last_position().unwrap(), Position::START);
        }
    }
    // In a transaction that continues, earlier messages stay.
    bus.in_transaction(|bus| -> Result<(), Error> {
        orders().dispatch(bus, &OrderPlaced::number(1))?;
        let batch = [message(2), message(13)];
        assert_dropped(
            &bus.persist(&batch, OnDuplicate::Fail).unwrap_err(),
            &batch[1],
        );
        orders().dispatch(bus, &OrderPlaced::number(3))?;
        Ok(())
    })
    .unwrap();
    assert_eq!(consume(&mut bus), [1, 3]);
}

#[test]
fn duplicates_beside_a_dropped_message_stay_duplicates() {
    let database = create();
    let mut bus = database.connect();
    let stored = message(1);
    bus.persist(std::slice::from_ref(&stored), OnDuplicate::Fail)
        .unwrap();
    let again = [stored.clone(), message(2)];
    assert_eq!(bus.persist(&again, OnDuplicate::Ignore).unwrap(), 1);
    let error = bus.persist(&again, OnDuplicate::Fail).unwrap_err();
    assert!(error.is_duplicate(), "{error:?}");
    let mixed = [stored, message(13)];
    let error = bus.persist(&mixed, OnDuplicate::Ignore).unwrap_err();
    assert_dropped(&error, &mixed[1]);
}

#[test]
fn a_relay_stops_before_a_message_that_its_target_drops() {
    let (from, to) = (Sqlite::create(), create());
    let mut source = from.connect();
    for order in [1, 13, 2] {
        orders()
            .dispatch(&mut source, &OrderPlaced::number(order))
            .unwrap();
    }
    let mut relay = relay::<Orders, SqliteConnection>("copy");
    let mut both = MessageBus::new(source, to.connect());
    let errors: Vec<_> = (0..3)
        .filter_map(|_| relay.handle_page(&mut both).err())
        .map(|error| format!("{error:#}"))
        .collect();
    drop(relay);
    assert!(errors.iter().any(|it| it.contains("trigger")), "{errors:?}");
    assert_eq!(consume(&mut to.connect()), [1]);
}

/// The rows that the batch has inserted before are no duplicates, either.
#[test]
fn a_value_that_another_unique_index_refuses_is_no_duplicate() {
    let database = Sqlite::create();
    let mut bus = database.connect();
    bus.batch_execute("CREATE UNIQUE INDEX one_payload ON public_messages (payload)")
        .unwrap();
    bus.persist(&[message(3)], OnDuplicate::Fail).unwrap();
    for is_in_transaction in [false, true] {
        if is_in_transaction {
            bus.begin().unwrap();
        }
        let batch = [1, 2, 3].map(message);
        let error = bus.persist(&batch, OnDuplicate::Fail).unwrap_err();
        assert!(!error.is_duplicate(), "{error:#}");
        if is_in_transaction {
            bus.rollback().unwrap();
        }
    }
    assert_eq!(bus.current_head("orders").unwrap(), Position::new(1));
}
