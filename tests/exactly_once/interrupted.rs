use std::time::Duration;

use diesel::connection::SimpleConnection;
use persisting_message_bus::handler::HandlerError;
use persisting_message_bus::operate::{ConsumerKey, MessageFailures, ParkedSelector};
use persisting_message_bus::{Error, FailurePolicy, Message, MessageConsumer};
use persisting_message_bus_tests::topics::Orders;

use super::sql::{Sql, effect, effects};
use super::{at_once, cursor, order, parked, place, positions};

const GUILTY: u64 = 4;
const LAST: u64 = 9;

/// Runs a handler of single messages or of pages that does the deed at one message. Uses a new
/// connection after each error, as a runner does. Returns the errors.
fn run<D: Sql>(
    database: &D,
    set: &str,
    pages: bool,
    deed: impl Fn(&mut D::Connection) -> Result<(), HandlerError>,
) -> Vec<Error> {
    let one = |bus: &mut D::Connection, message: &Message<Orders>| -> Result<(), HandlerError> {
        effect(bus, order(message))?;
        if order(message) == GUILTY {
            deed(bus)?;
        }
        Ok(())
    };
    let page = |bus: &mut D::Connection, messages: &[Message<Orders>]| {
        messages.iter().try_for_each(|message| one(bus, message))
    };
    let retry = at_once(2, FailurePolicy::Park).transient_timeout(Duration::ZERO);
    let mut each = MessageConsumer::<Orders>::transactional("all", one).retry(retry);
    let mut paged = MessageConsumer::<Orders>::transactional_pages("all", page).retry(retry);
    let mut errors = Vec::new();
    for _ in 0..30 {
        let mut bus = database.connect();
        if !set.is_empty() {
            bus.batch_execute(set).unwrap();
        }
        let caught_up = if pages {
            paged.handle_new_messages(&mut bus)
        } else {
            each.handle_new_messages(&mut bus)
        };
        match caught_up {
            Ok(_) => break,
            Err(error) => errors.push(error),
        }
    }
    errors
}

fn assert_given_up<D: Sql>(database: &D, errors: &[Error], said: &str) {
    let mut bus = database.connect();
    let found = parked(&mut bus, "all");
    let said = format!("{said}: {errors:#?}");
    assert_eq!(positions(&found), [(GUILTY.cast_signed(), 2)], "{said}");
    assert_eq!(cursor(&mut bus, "all"), LAST.cast_signed(), "{said}");
    let innocent = (1..=LAST).filter(|order| *order != GUILTY);
    assert_eq!(effects::<D>(&mut bus, innocent), [1; 8], "{said}");
    assert_eq!(effects::<D>(&mut bus, GUILTY..=GUILTY), [0], "{said}");
}

pub fn a_message_is_parked_when_its_handler_is_interrupted_each_time<D: Sql>() {
    let Some([set, slow]) = D::TOO_SLOW else {
        return assert_at_commit::<D>();
    };
    for pages in [false, true] {
        let (database, mut bus) = D::prepare();
        place(&mut bus, 1..LAST + 1);
        let errors = run(&database, set, pages, |bus| Ok(bus.batch_execute(slow)?));
        assert_given_up(&database, &errors, slow);
        let text = &parked(&mut bus, "all")[0].error;
        assert!(text.contains("time"), "the first cause: {text}");
    }
    assert_at_commit::<D>();
}

/// Does the same on databases that have constraints that are checked at commit. Replays the control
/// `without_the_search`.
fn assert_at_commit<D: Sql>() {
    for pages in [false, true] {
        let (database, mut bus) = D::prepare();
        let child = "CREATE TABLE child (parent integer REFERENCES once (number)
            DEFERRABLE INITIALLY DEFERRED)";
        if bus.batch_execute(child).is_err() {
            return;
        }
        place(&mut bus, 1..LAST + 1);
        let errors = run(&database, "", pages, |bus| {
            Ok(bus.batch_execute("INSERT INTO child VALUES (999)")?)
        });
        assert_given_up(&database, &errors, "a deferred constraint");
    }
}

pub fn only_one_message_is_parked_when_its_handler_loses_the_connection_each_time<D: Sql>() {
    let Some(kill) = D::KILLS_ITSELF else {
        return;
    };
    for pages in [false, true] {
        for ignored in [false, true] {
            let (database, mut bus) = D::prepare();
            place(&mut bus, 1..LAST + 1);
            let errors = run(&database, "", pages, |bus| {
                let killed = bus.batch_execute(kill);
                if ignored { Ok(()) } else { Ok(killed?) }
            });
            let said = format!("pages: {pages}, ignored: {ignored}");
            assert_given_up(&database, &errors, &said);
            assert!(
                errors
                    .iter()
                    .all(|error| !format!("{error:?}").contains("manager is broken")),
                "{errors:?}"
            );
        }
    }
}

pub fn transient_errors_park_nothing<D: Sql>() {
    let (_database, mut bus) = D::prepare();
    place(&mut bus, 1..LAST + 1);
    let mut deadlocks = 20;
    let mut consumer = MessageConsumer::<Orders>::transactional(
        "all",
        |bus: &mut D::Connection, message: &Message<Orders>| {
            effect(bus, order(message))?;
            if order(message) == GUILTY && deadlocks > 0 {
                deadlocks -= 1;
                return Err(Error::transient("booking", "deadlock").into());
            }
            Ok(())
        },
    )
    .retry(at_once(1, FailurePolicy::Park));
    let mut failures = 0;
    while let Err(error) = consumer.handle_new_messages(&mut bus) {
        assert!(
            error.is_retryable() && error.attempts().is_none(),
            "{error:?}"
        );
        failures += 1;
    }
    assert_eq!(failures, 20);
    assert_eq!(positions(&parked(&mut bus, "all")), []);
    assert_eq!(effects::<D>(&mut bus, 1..=LAST), [1; 9]);
}

fn deadlock() -> HandlerError {
    Error::transient("booking", "deadlock").into()
}

pub fn a_message_is_parked_when_its_external_handler_is_interrupted_each_time<D: Sql>() {
    let (_database, mut bus) = D::prepare();
    place(&mut bus, 1..LAST + 1);
    let mut calls = 0;
    let handler = |message: &Message<Orders>| {
        if order(message) == GUILTY {
            calls += 1;
            return Err(deadlock());
        }
        Ok(())
    };
    let mut consumer = MessageConsumer::<Orders>::external("all", handler)
        .retry(at_once(3, FailurePolicy::Park).transient_timeout(Duration::ZERO));
    let failures = (0..10).take_while(|_| consumer.handle_new_messages(&mut bus).is_err());
    assert_eq!(
        failures.count(),
        2,
        "the message is parked at the third attempt"
    );
    drop(consumer);
    assert_eq!(calls, 3);
    assert_eq!(
        positions(&parked(&mut bus, "all")),
        [(GUILTY.cast_signed(), 3)]
    );
    assert_eq!(cursor(&mut bus, "all"), LAST.cast_signed());
}

pub fn a_redriven_message_that_is_interrupted_each_time_is_parked_again<D: Sql>() {
    let (_database, mut bus) = D::prepare();
    place(&mut bus, 1..4);
    let mut calls = 0;
    let handler = |bus: &mut D::Connection, message: &Message<Orders>| {
        effect(bus, order(message))?;
        if order(message) == 2 {
            calls += 1;
            return Err(match calls {
                1 => "not yet".into(),
                _ => deadlock(),
            });
        }
        Ok(())
    };
    let retry = at_once(1, FailurePolicy::Park);
    let mut consumer = MessageConsumer::<Orders>::transactional("all", handler).retry(retry);
    consumer.handle_new_messages(&mut bus).unwrap();
    bus.redrive(
        ConsumerKey {
            consumer: "all",
            topic: "orders",
        },
        ParkedSelector::All,
    )
    .unwrap();
    let error = consumer.handle_new_messages(&mut bus).unwrap_err();
    assert!(
        error.is_retryable() && error.attempts().is_none(),
        "{error:?}"
    );
    assert_eq!(
        positions(&parked(&mut bus, "all")),
        [],
        "the message stays redriven"
    );
    let mut consumer = consumer.retry(retry.transient_timeout(Duration::ZERO));
    consumer.handle_new_messages(&mut bus).unwrap();
    assert_eq!(positions(&parked(&mut bus, "all")), [(2, 2)]);
    assert_eq!(effects::<D>(&mut bus, 1..4), [1, 0, 1]);
}
