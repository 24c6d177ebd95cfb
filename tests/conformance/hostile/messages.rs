use chrono::{DateTime, Utc};
use persisting_message_bus::backend::{
    MessageRepository, MessageSource, RawMessage, TransactionControl,
};
use persisting_message_bus::{
    Headers, MessageBus, MessageDispatcher, OnDuplicate, Position, Topic, relay,
};
use persisting_message_bus_tests::databases::{Database, Mariadb, Memory, Postgres, Sqlite};
use persisting_message_bus_tests::hostile::{accepted, harmless, nested, refused};
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::super::{TestBus, orders, stored};

/// A message of any JSON.
#[derive(Serialize, Deserialize)]
struct Anything(Value);

#[derive(Topic)]
#[topic(name = "anything")]
enum Everything {
    Anything(Anything),
}

fn persist(bus: &mut (impl MessageRepository + MessageSource), message: &RawMessage) {
    let messages = std::slice::from_ref(message);
    let persisted = bus.persist(messages, OnDuplicate::Fail);
    assert_eq!(
        persisted.unwrap_or_else(|error| panic!("{error}: {message:?}")),
        1
    );
}

fn all_orders(bus: &mut impl TestBus) -> Vec<RawMessage> {
    let messages = stored(bus, "orders").into_iter();
    messages.map(|(_, message)| message).collect()
}

pub fn every_repository_refuses_the_same_messages<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    for (message, problem) in refused() {
        let id = message.message_id;
        let batch = [harmless(), message];
        for messages in [&batch[1..], &batch] {
            let error = bus.persist(messages, OnDuplicate::Ignore).unwrap_err();
            let text = error.to_string();
            assert!(text.starts_with("cannot dispatch "), "{text}");
            for part in [
                &format!("(message id {id}): {problem}"),
                "; nothing was written",
            ] {
                assert!(text.contains(part), "{part:?} in {text}");
            }
            assert_eq!(error.message_id(), Some(id));
            assert!(error.topic().is_some());
            assert!(!error.is_retryable() && text.len() < 1_000, "{text}");
        }
    }
    assert_eq!(bus.last_position().unwrap(), Position::START);
}

pub fn a_refused_message_leaves_the_callers_transaction_usable<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    bus.begin().unwrap();
    let first = harmless();
    persist(&mut bus, &first);
    for (message, _) in refused() {
        bus.persist(&[message], OnDuplicate::Fail).unwrap_err();
    }
    let last = harmless();
    persist(&mut bus, &last);
    bus.commit().unwrap();
    assert_eq!(all_orders(&mut bus), [first, last]);
}

pub fn accepted_messages_come_back<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let (given, kept): (Vec<_>, Vec<_>) = accepted().into_iter().unzip();
    for message in &given {
        persist(&mut bus, message);
    }
    assert_eq!(all_orders(&mut bus), kept);
}

pub fn large_batches_come_back_as_single_messages_do<D: Database>() {
    // PostgreSQL copies batches of 4,000 messages and more.
    for size in [10, 4_100] {
        let database = D::create();
        let mut bus = database.connect();
        let batch = accepted().into_iter().cycle().take(size);
        let (given, kept): (Vec<_>, Vec<_>) = batch
            .map(|(given, kept)| {
                let message_id = Uuid::now_v7();
                let kept = RawMessage { message_id, ..kept };
                (
                    RawMessage {
                        message_id,
                        ..given
                    },
                    kept,
                )
            })
            .unzip();
        bus.persist(&given, OnDuplicate::Fail).unwrap();
        assert!(all_orders(&mut bus) == kept, "a message was changed");
    }
}

pub fn a_relay_carries_every_accepted_message<D: Database>() {
    let from = D::create();
    for (message, _) in accepted() {
        persist(&mut from.connect(), &message);
    }
    carry_to::<D, Memory>(&from);
    carry_to::<D, Sqlite>(&from);
    carry_to::<D, Postgres>(&from);
    carry_to::<D, Mariadb>(&from);
}

fn carry_to<D: Database, T: Database>(from: &D) {
    let to = T::create();
    let mut relay = relay::<Orders, T::Bus>("copies");
    let mut both = MessageBus::new(from.connect(), to.connect());
    while relay.handle_page(&mut both).unwrap() > 0 {}
    assert_eq!(
        all_orders(&mut to.connect()),
        all_orders(&mut from.connect())
    );
}

pub fn a_relay_carries_a_foreign_flow<D: Database>() {
    let from = D::create();
    let long = "x".repeat(300);
    let headers = format!("{{\"__correlation_id\":\"{long}\",\"traceparent\":\"no\"}}");
    persist(
        &mut from.connect(),
        &RawMessage {
            headers,
            ..harmless()
        },
    );
    carry_to::<D, Memory>(&from);
    let to = D::create();
    let mut both = MessageBus::new(from.connect(), to.connect());
    relay::<Orders, D::Bus>("copies")
        .handle_page(&mut both)
        .unwrap();
    let flow = persisting_message_bus::operate::Flow::read(&mut to.connect(), &long).unwrap();
    assert_eq!(flow.messages.len(), 1);
}

pub fn a_dispatch_refuses_values_that_could_not_be_read_back<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let everything = MessageDispatcher::<Everything>::new();
    // The macro of serde_json, and its reader, have the same limit.
    let deepest: Value = serde_json::from_str(&nested(127)).unwrap();
    let too_deep = Value::Array(vec![deepest.clone()]);
    let [too_early, too_late] = [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC];
    let id = Uuid::now_v7();
    let headers = || Headers::new().with_message_id(id);
    for (json, headers, problem) in [
        (
            &too_deep,
            headers(),
            "its payload nest deeper than 127 levels",
        ),
        (
            &Value::Null,
            headers().with("deep", deepest.clone()),
            "its headers nest deeper",
        ),
        (
            &Value::Null,
            headers().with_recorded_at(too_early),
            "the years 0 to 9999",
        ),
        (
            &Value::Null,
            headers().with_recorded_at(too_late),
            "the years 0 to 9999",
        ),
        (
            &Value::Null,
            headers().with("__mine", 1),
            "the header \"__mine\" begins with",
        ),
        (
            &Value::Null,
            headers().with("a\0", 1),
            "the header \"a\\0\" contains a control",
        ),
    ] {
        let message = Anything(json.clone());
        let error = everything
            .dispatch_with(&mut bus, &message, headers)
            .unwrap_err();
        let text = error.to_string();
        let start = format!("cannot dispatch Anything on topic \"anything\" (message id {id}): ");
        assert!(text.starts_with(&start) && text.contains(problem), "{text}");
    }
    assert_eq!(bus.last_position().unwrap(), Position::START);
    everything.dispatch(&mut bus, &Anything(deepest)).unwrap();
    let leap = DateTime::parse_from_rfc3339("2016-12-31T23:59:60.5Z").unwrap();
    let headers = Headers::new().with_recorded_at(leap.to_utc());
    orders()
        .dispatch_with(&mut bus, &OrderPlaced::number(1), headers)
        .unwrap();
    let kept = &all_orders(&mut bus)[0];
    assert_eq!(
        kept.published_at.to_rfc3339(),
        "2017-01-01T00:00:00.500+00:00"
    );
    assert!(
        kept.headers.contains("\"2017-01-01T00:00:00.500000Z\""),
        "{kept:?}"
    );
}
