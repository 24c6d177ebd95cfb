use persisting_message_bus::{FailurePolicy, Message, MessageConsumer};
use persisting_message_bus_tests::topics::Orders;

use super::deeds::{Fate, do_it};
use super::sql::{Sql, effect, effects};
use super::{at_once, cursor, order, parked, place, positions};

const GUILTY: u64 = 4;
const LAST: u64 = 9;

/// Until the failing message is found, effects that a statement of the handler has committed may be
/// repeated, and only those.
pub fn the_failing_message_of_a_page_is_found<D: Sql>() {
    for deed in D::DEEDS {
        let (_database, mut bus) = D::prepare();
        place(&mut bus, 1..LAST + 1);
        let handler = |bus: &mut D::Connection, messages: &[Message<Orders>]| {
            for message in messages {
                effect(bus, order(message))?;
            }
            if messages.iter().any(|message| order(message) == GUILTY) {
                do_it::<D>(bus, deed.sql);
            }
            Ok(())
        };
        let mut consumer = MessageConsumer::<Orders>::transactional_pages("all", handler)
            .retry(at_once(2, FailurePolicy::Park));
        let mut errors = Vec::new();
        for _ in 0..5 {
            match consumer.handle_new_messages(&mut bus) {
                Ok(_) => break,
                Err(error) => errors.push(error.to_string()),
            }
        }
        let said = format!("{}: {errors:#?}", deed.sql);
        let attempts = if deed.fate == Fate::Committed { 1 } else { 2 };
        let found = positions(&parked(&mut bus, "all"));
        assert_eq!(found, [(GUILTY.cast_signed(), attempts)], "{said}");
        assert_eq!(cursor(&mut bus, "all"), LAST.cast_signed(), "{said}");
        let innocent = (1..=LAST).filter(|order| *order != GUILTY);
        let counts = effects::<D>(&mut bus, innocent);
        let is_right = |count: &i64| match deed.fate {
            Fate::Committed => *count >= 1,
            Fate::Aborted | Fate::RolledBack => *count == 1,
        };
        assert!(counts.iter().all(is_right), "{said}: {counts:?}");
    }
}
