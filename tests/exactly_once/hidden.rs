//! On SQLite, Diesel does not report errors of statements whose rows are loaded.

use diesel::SqliteConnection;
use persisting_message_bus::backend::TransactionControl;
use persisting_message_bus::memory::InMemoryMessageBus;
use persisting_message_bus::{FailurePolicy, Message, MessageBus, MessageConsumer};
use persisting_message_bus_tests::databases::Sqlite;
use persisting_message_bus_tests::topics::Orders;

use super::sql::{Sql, effect, effects};
use super::{at_once, cursor, order, parked, place, positions};

const GUILTY: u64 = 4;

/// A statement whose error Diesel hides: loading its rows returns no rows and no error.
const ROLLS_BACK: &str = "INSERT OR ROLLBACK INTO once VALUES (1)";

#[test]
fn hidden_errors_show_at_the_end_of_the_page() {
    for page in [1, 3, 4, 500] {
        let (_database, mut bus) = Sqlite::prepare();
        place(&mut bus, 1..10);
        let mut consumer = MessageConsumer::<Orders>::transactional(
            "all",
            |bus: &mut SqliteConnection, message: &Message<Orders>| {
                effect(bus, order(message))?;
                if order(message) == GUILTY {
                    let _ignored = Sqlite::load(bus, ROLLS_BACK);
                }
                Ok(())
            },
        )
        .page_size(page)
        .retry(at_once(1, FailurePolicy::Park));
        for _ in 0..4 {
            let _failed_once = consumer.handle_new_messages(&mut bus);
        }
        let found = positions(&parked(&mut bus, "all"));
        assert_eq!(found, [(GUILTY.cast_signed(), 1)], "pages of {page}");
        assert_eq!(cursor(&mut bus, "all"), 9, "pages of {page}");
        // Until the error was found, later messages ran without a transaction.
        let innocent = effects::<Sqlite>(&mut bus, (1..10).filter(|order| *order != GUILTY));
        assert!(
            innocent.iter().all(|count| *count >= 1),
            "pages of {page}: {innocent:?}"
        );
    }
}

/// A bus that joins messages of another source with a state on SQLite checks that state, too.
#[test]
fn a_joined_bus_finds_hidden_errors() {
    let (_database, state) = Sqlite::prepare();
    let mut messages = InMemoryMessageBus::default();
    place(&mut messages, 1..10);
    let mut bus = MessageBus::new(messages.messages, state);
    let mut consumer = MessageConsumer::<Orders>::transactional(
        "all",
        |state: &mut SqliteConnection, message: &Message<Orders>| {
            effect(state, order(message))?;
            if order(message) == GUILTY {
                let _ignored = Sqlite::load(state, ROLLS_BACK);
            }
            Ok(())
        },
    )
    .retry(at_once(1, FailurePolicy::Park));
    for _ in 0..4 {
        let _failed_once = consumer.handle_new_messages(&mut bus);
    }
    let found = positions(&parked(&mut bus, "all"));
    assert_eq!(found, [(GUILTY.cast_signed(), 1)]);
    assert_eq!(cursor(&mut bus, "all"), 9);
    let innocent = (1..10).filter(|order| *order != GUILTY);
    let innocent = effects::<Sqlite>(&mut bus.state, innocent);
    assert!(innocent.iter().all(|count| *count >= 1), "{innocent:?}");
}

#[test]
fn a_transaction_fails_when_a_hidden_error_rolled_it_back() {
    let (_database, mut bus) = Sqlite::prepare();
    let left = bus.in_transaction(|bus| {
        effect(bus, 1)?;
        let _ignored = Sqlite::load(bus, ROLLS_BACK);
        Ok::<_, persisting_message_bus::Error>(())
    });
    let error = left.unwrap_err();
    assert!(error.to_string().contains("ended it"), "{error:?}");
    assert_eq!(effects::<Sqlite>(&mut bus, 1..2), [0]);
}
