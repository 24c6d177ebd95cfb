use persisting_message_bus::operate::ConsumerKey;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use persisting_message_bus::backend::{MessageConsumerState, MessageSource, TransactionControl};
use persisting_message_bus::handler::HandlerError;
use persisting_message_bus::{
    Error, FailurePolicy, Message, MessageConsumer, MessageDispatcher, Position,
};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::topics::{
    OrderPlaced, Orders, Paid, Payments, Tripwire, Tripwires,
};

use super::failing::after;
use super::leases::steal;
use super::{orders, stored};

/// Applies the effect of a message: a payment for its order.
fn pay<B: persisting_message_bus::backend::MessageRepository>(
    bus: &mut B,
    order: u64,
) -> Result<(), HandlerError> {
    MessageDispatcher::<Payments>::new().dispatch(bus, &Paid { order })?;
    Ok(())
}

fn paid(bus: &mut impl persisting_message_bus::backend::MessageSource) -> Vec<u64> {
    stored(bus, "payments")
        .into_iter()
        .map(|(_, raw)| serde_json::from_str::<Paid>(&raw.payload).unwrap().order)
        .collect()
}

fn place<D: Database>(numbers: std::ops::Range<u64>) -> (D, D::Bus) {
    let database = D::create();
    let mut bus = database.connect();
    let batch = numbers.map(OrderPlaced::number);
    orders().dispatch_batch(&mut bus, batch).unwrap();
    (database, bus)
}

pub fn effects_and_cursor_commit_together<D: Database>() {
    let (database, mut bus) = place::<D>(0..10);
    let mut other = database.connect();
    let mut consumer = MessageConsumer::<Orders>::transactional(
        "payer",
        |bus: &mut D::Bus, message: &Message<Orders>| {
            pay(bus, message.payload().order())?;
            assert!(
                paid(&mut other).len() % 4 == 0,
                "part of a page was committed"
            );
            Ok(())
        },
    )
    .page_size(4);
    while consumer.handle_page(&mut bus).unwrap() > 0 {}
    drop(consumer);
    assert_eq!(paid(&mut other), (0..10).collect::<Vec<_>>());
}

pub fn a_failing_message_rolls_back_its_own_effects_only<D: Database>() {
    let (_database, mut bus) = place::<D>(0..10);
    let mut broken = true;
    for _ in 0..2 {
        let mut consumer = MessageConsumer::<Orders>::transactional(
            "payer",
            |bus: &mut D::Bus, message: &Message<Orders>| {
                let order = message.payload().order();
                pay(bus, order)?;
                if order == 6 && broken {
                    Err("no money".into())
                } else {
                    Ok(())
                }
            },
        )
        .retry(after(8, FailurePolicy::Stop));
        if broken {
            let error = consumer.handle_page(&mut bus).unwrap_err();
            assert!(error.is_handler_failure());
            assert!(format!("{error:#}").contains("no money"));
            drop(consumer);
            assert_eq!(paid(&mut bus), [0, 1, 2, 3, 4, 5]);
            broken = false;
        } else {
            assert_eq!(consumer.handle_page(&mut bus).unwrap(), 4);
        }
    }
    assert_eq!(paid(&mut bus), (0..10).collect::<Vec<_>>());
}

pub fn a_failing_page_is_searched_for_the_failing_message<D: Database>() {
    let (_database, mut bus) = place::<D>(0..100);
    let mut consumer = MessageConsumer::<Orders>::transactional_pages(
        "payer",
        |bus: &mut D::Bus, messages: &[Message<Orders>]| {
            for message in messages {
                pay(bus, message.payload().order())?;
            }
            if messages
                .iter()
                .any(|message| message.payload().order() == 67)
            {
                Err("no money".into())
            } else {
                Ok(())
            }
        },
    );
    for _ in 0..2 {
        let error = consumer.handle_page(&mut bus).unwrap_err();
        assert!(error.is_handler_failure());
        assert_eq!(
            error.position().map(persisting_message_bus::Position::get),
            Some(68)
        );
        assert_eq!(paid(&mut bus), (0..67).collect::<Vec<_>>());
    }
}

pub fn a_message_that_fails_at_first_is_handled_once<D: Database>() {
    let (_database, mut bus) = place::<D>(0..10);
    let mut failures = 3;
    let mut consumer = MessageConsumer::<Orders>::transactional_pages(
        "payer",
        |bus: &mut D::Bus, messages: &[Message<Orders>]| {
            for message in messages {
                pay(bus, message.payload().order())?;
            }
            failures -= 1;
            if failures >= 0 {
                Err("not now".into())
            } else {
                Ok(())
            }
        },
    );
    assert_eq!(consumer.handle_page(&mut bus).unwrap(), 10);
    drop(consumer);
    assert_eq!(paid(&mut bus), (0..10).collect::<Vec<_>>());
}

pub fn a_panic_rolls_back<D: Database>() {
    let (_database, mut bus) = place::<D>(0..3);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        bus.in_transaction(|bus| {
            orders().dispatch(bus, &OrderPlaced::number(3)).unwrap();
            match bus.last_position()? {
                Position::START => Ok::<_, Error>(()),
                _ => std::panic::resume_unwind(Box::new("a bug")),
            }
        })
    }));
    assert!(panicked.is_err());
    assert_eq!(super::consume(&mut bus, "all"), [0, 1, 2]);
}

pub fn ending_a_transaction_is_an_error_when_none_is_open<D: Database>() {
    let (_database, mut bus) = place::<D>(0..1);
    assert!(bus.commit().is_err());
    assert!(bus.rollback().is_err());
    assert_eq!(super::consume(&mut bus, "all"), [0]);
}

pub fn effects_of_a_holder_that_lost_its_lease_are_rolled_back<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let tripwires = MessageDispatcher::<Tripwires>::new();
    tripwires.dispatch(&mut bus, &Tripwire {}).unwrap();
    let mut other = database.connect();
    Tripwire::on_next_decode(move || steal(&mut other, "late", "tripwires"));
    let mut handled = 0;
    let mut consumer = MessageConsumer::<Tripwires>::transactional(
        "late",
        |bus: &mut D::Bus, _: &Message<Tripwires>| {
            handled += 1;
            pay(bus, 1)
        },
    )
    .lease_duration(Duration::ZERO);
    let error = consumer.handle_page(&mut bus).unwrap_err();
    assert!(error.is_lease_lost(), "{error:?}");
    drop(consumer);
    assert_eq!(handled, 0, "the fence comes before the first effect");
    assert!(paid(&mut bus).is_empty());
    let status = bus
        .stored_consumer(ConsumerKey {
            consumer: "late",
            topic: "tripwires",
        })
        .unwrap()
        .unwrap();
    assert_eq!(status.cursor, None);
}
