//! On SQLite, Diesel does not report the errors of statements whose rows are loaded.

use diesel::SqliteConnection;
use persisting_message_bus::{GiveUp, Message, MessageConsumer, Transactions};
use persisting_message_bus_tests::databases::Sqlite;
use persisting_message_bus_tests::topics::Orders;

use super::sql::{Sql, effect, effects};
use super::{at_once, cursor, order, parked, place, positions};

const GUILTY: u64 = 4;

/// It returns no rows, and nothing shows that its error is hidden.
const ROLLS_BACK: &str = "INSERT OR ROLLBACK INTO once VALUES (1)";

#[test]
fn what_is_hidden_shows_at_the_end_of_the_page() {
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
        .retry(at_once(1, GiveUp::Park));
        for _ in 0..4 {
            let _failed_once = consumer.catch_up(&mut bus);
        }
        let found = positions(&parked(&mut bus, "all"));
        assert_eq!(found, [(GUILTY.cast_signed(), 1)], "pages of {page}");
        assert_eq!(cursor(&mut bus, "all"), 9, "pages of {page}");
        // Until it was found, those after it ran without a transaction.
        let innocent = effects::<Sqlite>(&mut bus, (1..10).filter(|order| *order != GUILTY));
        assert!(
            innocent.iter().all(|count| *count >= 1),
            "pages of {page}: {innocent:?}"
        );
    }
}

#[test]
fn a_transaction_that_was_rolled_back_so_is_an_error() {
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
