use diesel::SqliteConnection;
use persisting_message_bus::memory::InMemoryMessageBus;
use persisting_message_bus::testing::Scenario;
use persisting_message_bus::{Message, MessageConsumer, MessageDispatcher};
use persisting_message_bus_tests::databases::{Database, Sqlite};
use persisting_message_bus_tests::topics::{OrderPlaced, Orders, Paid, Payments, TolerantOrders};

use super::complaint;

fn placed(orders: std::ops::Range<u64>) -> Vec<Orders> {
    orders
        .map(|order| OrderPlaced::number(order).into())
        .collect()
}

fn paid(orders: std::ops::Range<u64>) -> Vec<Payments> {
    orders.map(|order| Paid { order }.into()).collect()
}

fn pay(
    bus: &mut InMemoryMessageBus,
    message: &Message<Orders>,
) -> Result<(), persisting_message_bus::handler::HandlerError> {
    let order = message.payload().order();
    if order == 13 {
        return Err("an unlucky number".into());
    }
    MessageDispatcher::<Payments>::new().dispatch(bus, &Paid { order })?;
    Ok(())
}

#[test]
fn a_scenario_that_holds_passes() {
    Scenario::new()
        .given(paid(100..101))
        .given(placed(1..3))
        .when(MessageConsumer::<Orders>::transactional("payer", pay))
        .then_dispatched(paid(1..3))
        .then(|bus| assert_eq!(bus.messages.messages().len(), 5));
}

#[test]
fn a_scenario_runs_on_a_database_too() {
    let database = Sqlite::create();
    let payments = MessageDispatcher::<Payments>::new();
    let consumer = MessageConsumer::<Orders>::transactional(
        "payer",
        |connection: &mut SqliteConnection, message: &Message<Orders>| {
            payments.dispatch(
                connection,
                &Paid {
                    order: message.payload().order(),
                },
            )?;
            Ok(())
        },
    );
    Scenario::on(database.connect())
        .given(placed(1..3))
        .when(consumer)
        .then_dispatched(paid(1..3));
}

#[test]
fn other_messages_than_expected_are_shown() {
    let text = complaint(|| {
        Scenario::new()
            .given(placed(1..3))
            .when(MessageConsumer::<Orders>::transactional("payer", pay))
            .then_dispatched(paid(2..4));
    });
    for part in [
        "topic \"payments\"",
        "Paid",
        "-  \"order\": 3",
        "+  \"order\": 1",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn a_failure_is_shown_where_it_is_not_expected() {
    let run = || {
        Scenario::new()
            .given(placed(12..15))
            .when(MessageConsumer::<Orders>::transactional("payer", pay))
    };
    let text = complaint(move || drop(run().then_dispatched(paid(12..13))));
    assert!(text.contains("an unlucky number"), "{text}");
    run()
        .then_failed(|error| assert!(error.is_handler_failure()))
        .then_dispatched(paid(12..13));
    let text = complaint(|| {
        let scenario = Scenario::new().given(placed(1..2));
        let consumer = MessageConsumer::<Orders>::transactional("payer", pay);
        drop(scenario.when(consumer).then_failed(|_| {}));
    });
    assert_eq!(text, "the consumer did not fail");
}

#[test]
fn a_scenario_needs_a_consumer_and_forgets_no_failure() {
    let payer = || MessageConsumer::<Orders>::transactional("payer", pay);
    let text = complaint(|| {
        Scenario::new()
            .given(placed(1..2))
            .then_dispatched(placed(1..2));
    });
    assert!(text.contains("no consumer ran"), "{text}");
    let text = complaint(move || {
        Scenario::new()
            .when(payer())
            .given(placed(1..2))
            .then(|_| {});
    });
    assert!(text.contains("ran already"), "{text}");
    let text = complaint(move || {
        let other = MessageConsumer::<Orders>::external("other", |_: &Message<Orders>| Ok(()));
        Scenario::new()
            .given(placed(13..14))
            .when(payer())
            .when(other)
            .then(|_| {});
    });
    assert!(text.contains("an unlucky number"), "{text}");
}

#[test]
fn a_scenario_takes_messages_of_a_topic_that_cannot_be_dispatched_as_such() {
    let consumer =
        MessageConsumer::<TolerantOrders>::external("all", |_: &Message<TolerantOrders>| Ok(()));
    Scenario::new()
        .given::<TolerantOrders, _>([OrderPlaced::number(1)])
        .when(consumer)
        .then_dispatched::<TolerantOrders, OrderPlaced>([]);
}
