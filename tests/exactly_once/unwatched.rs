use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use diesel::connection::{Connection, Instrumentation, InstrumentationEvent};
use persisting_message_bus::sql::StatementWatch;
use persisting_message_bus::{FailurePolicy, Message, MessageConsumer};
use persisting_message_bus_tests::topics::Orders;

use super::deeds::{Fate, do_it};
use super::sql::{Sql, effect, effects};
use super::{at_once, cursor, order, parked, place, positions};

const GUILTY: u64 = 4;

/// An instrumentation that counts statements.
pub struct Count(pub Arc<AtomicUsize>);

impl Instrumentation for Count {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        if let InstrumentationEvent::StartQuery { .. } = event {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Runs a consumer on all deeds, and returns the lowest number of counted statements.
fn run<D: Sql>(set: impl Fn(&mut D::Connection, Arc<AtomicUsize>)) -> usize {
    let mut least = usize::MAX;
    for deed in D::DEEDS {
        let (_database, mut bus) = D::prepare();
        let counted = Arc::new(AtomicUsize::new(0));
        set(&mut bus, Arc::clone(&counted));
        place(&mut bus, 1..10);
        let handler = |bus: &mut D::Connection, message: &Message<Orders>| {
            effect(bus, order(message))?;
            if order(message) == GUILTY {
                do_it::<D>(bus, deed.sql);
            }
            Ok(())
        };
        let mut consumer = MessageConsumer::<Orders>::transactional("all", handler)
            .retry(at_once(1, FailurePolicy::Park));
        for _ in 0..4 {
            let _failed_once = consumer.handle_new_messages(&mut bus);
        }
        let found = positions(&parked(&mut bus, "all"));
        assert_eq!(found, [(GUILTY.cast_signed(), 1)], "{}", deed.sql);
        assert_eq!(cursor(&mut bus, "all"), 9, "{}", deed.sql);
        let counts = effects::<D>(&mut bus, (1..10).filter(|order| *order != GUILTY));
        assert_eq!(counts, [1; 8], "{}", deed.sql);
        let of_guilty = i64::from(deed.fate == Fate::Committed);
        assert_eq!(
            effects::<D>(&mut bus, GUILTY..=GUILTY),
            [of_guilty],
            "{}",
            deed.sql
        );
        least = least.min(counted.load(Ordering::Relaxed));
    }
    least
}

pub fn an_instrumentation_of_the_application_stays_and_nothing_is_lost<D: Sql>() {
    let counted = run::<D>(|bus, counted| bus.set_instrumentation(Count(counted)));
    assert!(counted > 20, "{counted}");
}

pub fn an_instrumentation_in_a_watch_is_told_everything<D: Sql>() {
    let counted = run::<D>(|bus, counted| {
        bus.set_instrumentation(StatementWatch::around(Count(counted)));
    });
    assert!(counted > 20, "{counted}");
}
