use persisting_message_bus::backend::{MessageRepository, MessageSource, RawMessage};
use persisting_message_bus::{
    EventSet, Message, MessageConsumer, MessageDispatcher, OnDuplicate, OnUnknown,
};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::topics::invoices::{InvoiceSent, Invoices, Sent};

use super::consuming::raw;
use super::stored;

fn invoice(version: u32, payload: &str) -> RawMessage {
    RawMessage {
        topic: "invoices".into(),
        message_version: version,
        ..raw("InvoiceSent", payload)
    }
}

fn current(invoice: u64, cents: i64) -> InvoiceSent {
    InvoiceSent {
        invoice,
        cents,
        currency: "EUR".to_owned(),
    }
}

fn publish_all_versions(bus: &mut impl MessageRepository) {
    let old = [
        invoice(1, r#"{"number":"7","euros":1.5}"#),
        invoice(2, r#"{"invoice":8,"euros":2.25}"#),
    ];
    bus.persist(&old, OnDuplicate::Fail).unwrap();
    let invoices = MessageDispatcher::<Invoices>::new();
    invoices.dispatch(bus, &current(9, 300)).unwrap();
}

fn consumed<S, B>(bus: &mut B, unknown: OnUnknown) -> (Vec<S>, u64)
where
    S: EventSet + Clone,
    B: MessageRepository + MessageSource + persisting_message_bus::backend::MessageConsumerState,
{
    let mut seen = Vec::new();
    let mut consumer = MessageConsumer::<S>::external("all", |message: &Message<S>| {
        seen.push(message.payload().clone());
        Ok(())
    })
    .on_unknown(unknown);
    while consumer.handle_page(bus).unwrap() > 0 {}
    let skipped = consumer.skipped_messages();
    drop(consumer);
    (seen, skipped)
}

pub fn the_version_is_stored_with_the_message<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let invoices = MessageDispatcher::<Invoices>::new();
    invoices.dispatch(&mut bus, &current(9, 300)).unwrap();
    let (_, raw) = stored(&mut bus, "invoices").remove(0);
    assert_eq!(raw.message_version, 3);
    assert!(
        raw.headers.contains(r#""__message_version":3"#),
        "{}",
        raw.headers
    );
}

pub fn old_versions_come_as_the_current_one<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    publish_all_versions(&mut bus);
    let expected = [current(7, 150), current(8, 225), current(9, 300)];
    let (seen, _) = consumed::<Invoices, _>(&mut bus, OnUnknown::Wait);
    assert_eq!(seen, expected.clone().map(Invoices::InvoiceSent));
    let mut bus = database.connect();
    let mut consumer = MessageConsumer::<Sent>::external("sent", |message: &Message<Sent>| {
        let Sent::InvoiceSent(sent) = message.payload();
        assert!(expected.contains(sent));
        Ok(())
    });
    assert_eq!(consumer.handle_page(&mut bus).unwrap(), 3);
}

pub fn a_broken_old_version_stops_the_consumer_and_is_named<D: Database>() {
    for (version, payload, why) in [
        (1, r#"{"number":7}"#, "the number is no text"),
        (1, r#"{"number":"7"}"#, "missing field `euros`"),
        (1, "[]", "the number is no text"),
        (2, r#"{"invoice":8}"#, "missing field `euros`"),
        (3, r#"{"invoice":8}"#, "missing field `cents`"),
    ] {
        let database = D::create();
        let mut bus = database.connect();
        bus.persist(&[invoice(version, payload)], OnDuplicate::Fail)
            .unwrap();
        let mut consumer = MessageConsumer::<Invoices>::external("all", super::ignore);
        let error = consumer.handle_page(&mut bus).unwrap_err();
        assert!(error.is_bad_message() && !error.is_unknown_message());
        let text = format!("{error:#}");
        for part in ["InvoiceSent", "position 1", why] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}

pub fn a_newer_version_is_an_unknown_message<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    bus.persist(&[invoice(4, "{}")], OnDuplicate::Fail).unwrap();
    publish_all_versions(&mut bus);
    for name in ["topic", "event set"] {
        let mut of_topic = MessageConsumer::<Invoices>::external(name, super::ignore);
        let mut of_set = MessageConsumer::<Sent>::external(name, super::ignore);
        let error = match name {
            "topic" => of_topic.handle_page(&mut bus).unwrap_err(),
            _ => of_set.handle_page(&mut bus).unwrap_err(),
        };
        assert!(error.is_unknown_message(), "{error:?}");
        let text = error.to_string();
        for part in [
            "InvoiceSent",
            "position 1",
            "version 4",
            "knows versions up to 3",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
    let (seen, skipped) = consumed::<Sent, _>(&mut bus, OnUnknown::Skip);
    assert_eq!((seen.len(), skipped), (3, 1));
}
