use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use persisting_message_bus::{Message, MessageConsumer};
use persisting_message_bus_tests::topics::Orders;

use super::deeds::{Deed, Fate, do_it};
use super::place;
use super::sql::{Sql, effect, effects};

/// Runs a hook that does the deed at its first call. Returns the number of its calls, of its
/// effects, and of the effects of each message.
fn run<D: Sql>(deed: &'static Deed, fails: bool) -> (u32, i64, Vec<i64>) {
    let (_database, mut bus) = D::prepare();
    place(&mut bus, 1..4);
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let mut consumer = MessageConsumer::<Orders>::transactional(
        "all",
        |bus: &mut D::Connection, message: &Message<Orders>| {
            Ok(effect(bus, message.payload().order())?)
        },
    )
    .before_replay(move |bus: &mut D::Connection| {
        effect(bus, 100)?;
        if counted.fetch_add(1, Ordering::Relaxed) == 0 {
            do_it::<D>(bus, deed.sql);
            if fails {
                return Err("the second half failed".into());
            }
        }
        Ok(())
    });
    for _ in 0..3 {
        let _failed_once = consumer.handle_new_messages(&mut bus);
    }
    let of_hook = effects::<D>(&mut bus, 100..101)[0];
    let calls = calls.load(Ordering::Relaxed);
    (calls, of_hook, effects::<D>(&mut bus, 1..4))
}

/// Replays the control `where_a_hook_that_was_committed_does_not_count`.
pub fn a_hook_that_left_its_transaction_is_called_again_unless_it_was_committed<D: Sql>() {
    for deed in D::DEEDS {
        let calls = if deed.fate == Fate::Committed { 1 } else { 2 };
        let expected = (calls, 1, vec![1; 3]);
        assert_eq!(run::<D>(deed, false), expected, "{}", deed.sql);
    }
}

pub fn a_hook_that_fails_after_a_statement_that_commits_is_called_again<D: Sql>() {
    for deed in D::DEEDS {
        let of_hook = if deed.fate == Fate::Committed { 2 } else { 1 };
        let expected = (2, of_hook, vec![1; 3]);
        assert_eq!(run::<D>(deed, true), expected, "{}", deed.sql);
    }
}
