//! A final effect cannot be recorded. The message must not be treated as if nothing had happened.

use diesel::SqliteConnection;
use diesel::connection::SimpleConnection;
use persisting_message_bus::{FailurePolicy, Message, MessageConsumer};
use persisting_message_bus_tests::databases::Sqlite;
use persisting_message_bus_tests::topics::Orders;

use super::sql::{Sql, effect, effects};
use super::{at_once, cursor, order, parked, place, positions};

const GUILTY: u64 = 3;

#[test]
fn the_cursor_does_not_move_when_a_final_effect_cannot_be_noted() {
    let (_database, mut bus) = Sqlite::prepare();
    bus.batch_execute(
        "CREATE TRIGGER unnoted BEFORE INSERT ON message_failures WHEN new.state = 'final'
         BEGIN SELECT RAISE(ABORT, 'not now'); END",
    )
    .unwrap();
    place(&mut bus, 1..6);
    let mut consumer = MessageConsumer::<Orders>::transactional(
        "all",
        |bus: &mut SqliteConnection, message: &Message<Orders>| {
            effect(bus, order(message))?;
            if order(message) == GUILTY {
                bus.batch_execute("ROLLBACK")?;
                effect(bus, 100)?;
            }
            Ok(())
        },
    )
    .retry(at_once(1, FailurePolicy::Park));
    let error = consumer.handle_new_messages(&mut bus).unwrap_err();
    assert!(
        error.to_string().contains("not now") || format!("{error:#}").contains("not now"),
        "{error:?}"
    );
    assert_eq!(cursor(&mut bus, "all"), 0);
    assert_eq!(positions(&parked(&mut bus, "all")), []);
    bus.batch_execute("DROP TRIGGER unnoted").unwrap();
    for _ in 0..3 {
        let _failed_once = consumer.handle_new_messages(&mut bus);
    }
    drop(consumer);
    assert_eq!(
        positions(&parked(&mut bus, "all")),
        [(GUILTY.cast_signed(), 1)]
    );
    assert_eq!(cursor(&mut bus, "all"), 5);
    let innocent = (1..6).filter(|order| *order != GUILTY);
    assert_eq!(effects::<Sqlite>(&mut bus, innocent), [1; 4]);
}
