use std::cell::Cell;

use diesel::connection::SimpleConnection;
use persisting_message_bus::operate::{ConsumerKey, MessageFailures, ParkedSelector};
use persisting_message_bus::{FailurePolicy, Message, MessageConsumer};
use persisting_message_bus_tests::topics::Orders;

use super::deeds::{Fate, do_it};
use super::sql::{Sql, effect, effects};
use super::{at_once, order, parked, place, positions};

pub fn a_redriven_message_whose_handler_left_the_transaction_is_parked_again<D: Sql>() {
    for deed in D::DEEDS {
        let (_database, mut bus) = D::prepare();
        place(&mut bus, 1..4);
        let phase = Cell::new(0);
        let handler = |bus: &mut D::Connection, message: &Message<Orders>| {
            effect(bus, order(message))?;
            match (order(message), phase.get()) {
                (2, 0) => Err("not yet".into()),
                (2, 1) => {
                    do_it::<D>(bus, deed.sql);
                    Ok(())
                }
                _ => Ok(()),
            }
        };
        let mut consumer = MessageConsumer::<Orders>::transactional("all", handler)
            .retry(at_once(1, FailurePolicy::Park));
        consumer.handle_new_messages(&mut bus).unwrap();
        assert_eq!(positions(&parked(&mut bus, "all")), [(2, 1)]);

        phase.set(1);
        assert_eq!(
            bus.redrive(
                ConsumerKey {
                    consumer: "all",
                    topic: "orders"
                },
                ParkedSelector::All
            )
            .unwrap(),
            1
        );
        consumer.handle_new_messages(&mut bus).unwrap();
        let failed = parked(&mut bus, "all");
        assert_eq!(positions(&failed), [(2, 2)], "{}: {failed:?}", deed.sql);
        let committed = i64::from(deed.fate == Fate::Committed);
        assert_eq!(effects::<D>(&mut bus, 2..3), [committed], "{}", deed.sql);

        phase.set(2);
        assert_eq!(
            bus.redrive(
                ConsumerKey {
                    consumer: "all",
                    topic: "orders"
                },
                ParkedSelector::All
            )
            .unwrap(),
            1
        );
        consumer.handle_new_messages(&mut bus).unwrap();
        assert_eq!(positions(&parked(&mut bus, "all")), [], "{}", deed.sql);
        assert_eq!(
            effects::<D>(&mut bus, 2..3),
            [committed + 1],
            "{}",
            deed.sql
        );
    }
}

/// Replays the control `where_a_new_connection_remembers_the_count` of the lease model. A server
/// that loses its last commits in a crash also loses the fact that a redriven message was handled.
pub fn a_message_that_a_crash_makes_redriven_again_is_handled_by_a_surviving_consumer<D: Sql>() {
    let (_database, mut bus) = D::prepare();
    place(&mut bus, 1..3);
    let attempts = Cell::new(0);
    let handler = |bus: &mut D::Connection, message: &Message<Orders>| {
        if order(message) == 1 {
            attempts.set(attempts.get() + 1);
            if attempts.get() == 1 {
                return Err("not yet".into());
            }
        }
        Ok(effect(bus, order(message))?)
    };
    let mut consumer = MessageConsumer::<Orders>::transactional("all", handler)
        .retry(at_once(1, FailurePolicy::Park));
    consumer.handle_new_messages(&mut bus).unwrap();
    let copy = "CREATE TABLE kept AS SELECT * FROM message_failures";
    bus.batch_execute(copy).unwrap();
    bus.redrive(
        ConsumerKey {
            consumer: "all",
            topic: "orders",
        },
        ParkedSelector::All,
    )
    .unwrap();
    consumer.handle_new_messages(&mut bus).unwrap();
    assert_eq!(effects::<D>(&mut bus, 1..3), [1, 1]);

    let crash = "DELETE FROM effects WHERE number = 1;
        INSERT INTO message_failures SELECT * FROM kept;
        UPDATE message_failures SET state = 'redriven'";
    bus.batch_execute(crash).unwrap();
    consumer.handle_new_messages(&mut bus).unwrap();
    assert_eq!(effects::<D>(&mut bus, 1..3), [1, 1]);
}
