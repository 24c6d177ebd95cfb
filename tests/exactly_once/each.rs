use persisting_message_bus::{FailurePolicy, Message, MessageConsumer};
use persisting_message_bus_tests::topics::Orders;

use super::deeds::{Deed, Fate, do_it};
use super::sql::{Sql, effect, effects};
use super::{at_once, cursor, order, parked, place, positions};

/// The order whose handler leaves its transaction.
const GUILTY: u64 = 4;
const LAST: u64 = 9;

/// Runs a consumer until it has caught up. Returns the texts of its errors.
fn run<D: Sql>(
    bus: &mut D::Connection,
    page: usize,
    then: FailurePolicy,
    handler: impl FnMut(
        &mut D::Connection,
        u64,
    ) -> Result<(), persisting_message_bus::handler::HandlerError>,
) -> Vec<String> {
    let mut handler = handler;
    let mut consumer = MessageConsumer::<Orders>::transactional(
        "all",
        |bus: &mut D::Connection, message: &Message<Orders>| handler(bus, order(message)),
    )
    .page_size(page)
    .retry(at_once(2, then));
    let mut errors = Vec::new();
    for _ in 0..5 {
        match consumer.handle_new_messages(bus) {
            Ok(_) => break,
            Err(error) => errors.push(error.to_string()),
        }
    }
    errors
}

/// Asserts the state after the guilty message was parked.
fn assert_parked<D: Sql>(bus: &mut D::Connection, deed: &Deed, page: usize, errors: &[String]) {
    let said = format!("{}, pages of {page}: {errors:#?}", deed.sql);
    let parked = parked(bus, "all");
    let attempts = if deed.fate == Fate::Committed { 1 } else { 2 };
    let guilty = GUILTY.cast_signed();
    assert_eq!(positions(&parked), [(guilty, attempts)], "{said}");
    let words = deed.sql.split([';', ' ']).next().unwrap_or_default();
    let text = &parked[0].error;
    assert!(text.contains(words), "{said}: {text}");
    assert_eq!(cursor(bus, "all"), LAST.cast_signed(), "{said}");
    let innocent = (1..=LAST).filter(|order| *order != GUILTY);
    let counts = effects::<D>(bus, innocent);
    assert!(counts.iter().all(|count| *count == 1), "{said}: {counts:?}");
    let [of_guilty] = effects::<D>(bus, GUILTY..=GUILTY)[..] else {
        unreachable!("one count");
    };
    let final_effects = i64::from(deed.fate == Fate::Committed);
    assert_eq!(of_guilty, final_effects, "{said}");
}

/// Replays these controls of the transaction model: `where_commit_is_believed`,
/// `where_the_last_message_is_blamed`, `where_later_messages_run_outside`, `with_the_cursor_first`,
/// `with_the_cursor_outside_of_the_transaction`, `without_the_mark`,
/// `where_what_is_final_is_attempted_again`, `where_any_abort_is_that_of_the_page`.
pub fn a_message_fails_when_its_handler_leaves_the_transaction<D: Sql>() {
    for deed in D::DEEDS {
        for page in [1, 3, GUILTY as usize, 500] {
            let (_database, mut bus) = D::prepare();
            place(&mut bus, 1..LAST + 1);
            let errors = run::<D>(&mut bus, page, FailurePolicy::Park, |bus, order| {
                effect(bus, order)?;
                if order == GUILTY {
                    do_it::<D>(bus, deed.sql);
                }
                Ok(())
            });
            assert_parked::<D>(&mut bus, deed, page, &errors);
        }
    }
}

/// Replays the control `where_no_check_follows_an_error`.
pub fn a_message_fails_when_its_handler_leaves_the_transaction_and_returns_an_error<D: Sql>() {
    for deed in D::DEEDS {
        let (_database, mut bus) = D::prepare();
        place(&mut bus, 1..LAST + 1);
        let errors = run::<D>(&mut bus, 500, FailurePolicy::Park, |bus, order| {
            effect(bus, order)?;
            if order == GUILTY {
                do_it::<D>(bus, deed.sql);
                return Err("besides".into());
            }
            Ok(())
        });
        assert_parked::<D>(&mut bus, deed, 500, &errors);
    }
}

pub fn harmless_statements_do_not_fail_a_message<D: Sql>() {
    for sql in D::HARMLESS {
        let (_database, mut bus) = D::prepare();
        place(&mut bus, 1..LAST + 1);
        let errors = run::<D>(&mut bus, 500, FailurePolicy::Park, |bus, order| {
            effect(bus, order)?;
            do_it::<D>(bus, sql);
            Ok(())
        });
        assert_eq!(errors, Vec::<String>::new(), "{sql}");
        assert_eq!(positions(&parked(&mut bus, "all")), [], "{sql}");
        assert_eq!(effects::<D>(&mut bus, 1..=LAST), [1; 9], "{sql}");
    }
}

/// Replays the control `where_an_aborted_transaction_is_no_failure`: the attempt counts, and the
/// consumer stops.
pub fn the_consumer_stops_and_keeps_earlier_effects_when_a_handler_leaves_the_transaction<
    D: Sql,
>() {
    for deed in D::DEEDS {
        let (_database, mut bus) = D::prepare();
        place(&mut bus, 1..LAST + 1);
        let mut calls = 0;
        let mut consumer = MessageConsumer::<Orders>::transactional(
            "all",
            |bus: &mut D::Connection, message: &Message<Orders>| {
                effect(bus, order(message))?;
                if order(message) == GUILTY {
                    calls += 1;
                    do_it::<D>(bus, deed.sql);
                }
                Ok(())
            },
        )
        .retry(at_once(1, FailurePolicy::Stop));
        let error = consumer.handle_new_messages(&mut bus).unwrap_err();
        drop(consumer);
        let said = format!("{}: {error:?}", deed.sql);
        assert!(error.is_handler_failure(), "{said}");
        assert_eq!(
            error.position().map(|it| it.get()),
            Some(GUILTY.cast_signed()),
            "{said}"
        );
        assert_eq!(calls, 1, "{said}");
        assert_eq!(cursor(&mut bus, "all"), GUILTY.cast_signed() - 1, "{said}");
        assert_eq!(effects::<D>(&mut bus, 1..GUILTY), [1, 1, 1], "{said}");
        assert_eq!(effects::<D>(&mut bus, GUILTY + 1..=LAST), [0; 5], "{said}");
    }
}
