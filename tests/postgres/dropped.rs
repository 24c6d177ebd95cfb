//! The database drops rows without an error: triggers, rules and policies.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use persisting_message_bus::backend::TransactionControl;
use persisting_message_bus::{Error, OnDuplicate};
use persisting_message_bus_tests::databases::{Database, Postgres, become_publisher, drop_role};
use persisting_message_bus_tests::topics::OrderPlaced;
use uuid::Uuid;

use super::{consume, orders};

/// Drops the order 7.
const TRIGGER: &str = "
    CREATE FUNCTION drops() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RETURN CASE WHEN NEW.payload ->> 'order' = '7' THEN NULL ELSE NEW END;
    END $$;
    CREATE TRIGGER drops BEFORE INSERT ON public_messages FOR EACH ROW EXECUTE FUNCTION drops()";

const RULES: [&str; 3] = [
    "CREATE RULE drops AS ON INSERT TO public_messages DO INSTEAD NOTHING",
    "CREATE RULE drops AS ON INSERT TO public_messages WHERE NEW.payload ->> 'order' = '7'
        DO INSTEAD NOTHING",
    "CREATE TABLE elsewhere (LIKE public_messages);
     CREATE RULE drops AS ON INSERT TO public_messages DO INSTEAD
        INSERT INTO elsewhere VALUES (NEW.*)",
];

/// The numbers of messages: one statement each, several rows, and COPY.
const SIZES: [u64; 3] = [1, 3, 4_200];

/// Publishes the order 7 last.
fn publish(bus: &mut PgConnection, size: u64, on_duplicate: OnDuplicate) -> Result<(), Error> {
    let orders = orders().on_duplicate(on_duplicate);
    if size == 1 {
        return orders.dispatch(bus, &OrderPlaced::number(7)).map(drop);
    }
    let placed = (0..size - 1).map(|order| order + 10).chain([7]);
    orders
        .dispatch_batch(bus, placed.map(OrderPlaced::number))
        .map(drop)
}

#[track_caller]
fn assert_dropped(error: &Error, parts: &[&str]) {
    assert!(!error.is_duplicate() && !error.is_retryable(), "{error:#}");
    let text = format!("{error:#}");
    for part in parts {
        assert!(text.contains(part), "{part} in {text}");
    }
}

/// The session has published before, or not.
fn sessions(database: &Postgres) -> [PgConnection; 2] {
    let mut sessions = [(); 2].map(|()| database.connect());
    for order in 0..3 {
        orders()
            .dispatch(&mut sessions[0], &OrderPlaced::number(order))
            .unwrap();
    }
    publish(&mut sessions[0], 3, OnDuplicate::Fail).unwrap();
    consume(&mut sessions[0]);
    sessions
}

#[test]
fn a_row_that_a_trigger_drops_is_no_duplicate_and_no_success() {
    let database = Postgres::create();
    let sessions = sessions(&database);
    database.connect().batch_execute(TRIGGER).unwrap();
    let mut reader = database.connect();
    for mut bus in sessions {
        for size in SIZES {
            for on_duplicate in [OnDuplicate::Fail, OnDuplicate::Ignore] {
                for is_in_transaction in [false, true] {
                    let case = format!("{size}, {on_duplicate:?}, {is_in_transaction}");
                    if is_in_transaction {
                        bus.begin().unwrap();
                    }
                    let error = publish(&mut bus, size, on_duplicate).expect_err(&case);
                    assert_dropped(&error, &["drops", "message id", "\"orders\""]);
                    if is_in_transaction {
                        // The transaction can continue, without any message of the batch.
                        orders()
                            .dispatch(&mut bus, &OrderPlaced::number(8))
                            .unwrap();
                        bus.commit().unwrap();
                        assert_eq!(consume(&mut reader), [8], "{case}");
                    } else {
                        assert!(consume(&mut reader).is_empty(), "{case}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_trigger_that_keeps_the_rows_changes_nothing() {
    let database = Postgres::create();
    database.connect().batch_execute(TRIGGER).unwrap();
    let mut bus = database.connect();
    for size in SIZES {
        for on_duplicate in [OnDuplicate::Fail, OnDuplicate::Ignore] {
            let placed = (0..size).map(|order| OrderPlaced::number(order + 10));
            orders()
                .on_duplicate(on_duplicate)
                .dispatch_batch(&mut bus, placed)
                .unwrap();
            assert_eq!(consume(&mut bus).len() as u64, size);
        }
    }
}

#[test]
fn a_table_with_rules_for_insert_is_refused() {
    for rule in RULES {
        let database = Postgres::create();
        let mut bus = database.connect();
        bus.batch_execute(rule).unwrap();
        for size in [1, 3] {
            for on_duplicate in [OnDuplicate::Fail, OnDuplicate::Ignore] {
                let error = publish(&mut bus, size, on_duplicate).expect_err(rule);
                assert_dropped(&error, &["rules"]);
            }
        }
        // COPY does not apply rules, so nothing is dropped.
        match publish(&mut bus, 4_200, OnDuplicate::Fail) {
            Ok(()) => assert_eq!(consume(&mut bus).len(), 4_200),
            Err(error) => {
                assert_dropped(&error, &["rules"]);
                assert!(consume(&mut bus).is_empty());
            }
        }
    }
}

/// A policy hides the message that is there, so the publisher cannot know that it is a duplicate.
#[test]
fn a_hidden_message_is_not_called_a_duplicate_that_can_be_ignored() {
    let database = Postgres::create();
    let mut bus = database.connect();
    let role = become_publisher(
        &mut bus,
        "CREATE POLICY writes ON public_messages FOR INSERT WITH CHECK (true);
         CREATE POLICY reads ON public_messages FOR SELECT USING (payload ->> 'order' <> '7')",
    );
    for on_duplicate in [OnDuplicate::Fail, OnDuplicate::Ignore] {
        let error = publish(&mut bus, 1, on_duplicate);
        // The server may also refuse the row, because the publisher could not see it.
        if let Err(error) = error {
            assert!(!error.is_duplicate(), "{error:#}");
        }
    }
    drop_role(&mut bus, &role);
}

#[test]
fn an_ignored_duplicate_stays_no_error() {
    let database = Postgres::create();
    let mut bus = database.connect();
    database.connect().batch_execute(TRIGGER).unwrap();
    let with_id = persisting_message_bus::Headers::new().with_message_id(Uuid::now_v7());
    for on_duplicate in [OnDuplicate::Ignore, OnDuplicate::Ignore, OnDuplicate::Fail] {
        let orders = orders().on_duplicate(on_duplicate);
        let dispatched = orders.dispatch_with(&mut bus, &OrderPlaced::number(1), with_id.clone());
        match on_duplicate {
            OnDuplicate::Ignore => drop(dispatched.unwrap()),
            OnDuplicate::Fail => assert!(dispatched.unwrap_err().is_duplicate()),
        }
    }
    assert_eq!(consume(&mut bus), [1]);
}
