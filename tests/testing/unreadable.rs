//! Messages that serde writes and cannot read back are found before a consumer meets them.

use std::collections::BTreeMap;

use persisting_message_bus::memory::InMemoryMessageBus;
use persisting_message_bus::testing::Golden;
use persisting_message_bus::{Error, MessageDispatcher, Topic};
use serde::{Deserialize, Serialize};

use super::complaint;

#[derive(Serialize, Deserialize)]
struct Amounts {
    #[serde(flatten)]
    inner: Inner,
}

#[derive(Serialize, Deserialize)]
struct Inner {
    amount: u128,
}

#[derive(Serialize, Deserialize)]
struct Stock {
    #[serde(flatten)]
    inner: Counts,
}

#[derive(Serialize, Deserialize)]
struct Counts {
    by_shelf: BTreeMap<u32, u32>,
}

#[derive(Serialize, Deserialize)]
struct Choice {
    value: Untagged,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Counts(BTreeMap<u32, u32>),
}

#[derive(Serialize, Deserialize)]
#[expect(dead_code, reason = "the password is only written")]
struct Secret {
    order: u32,
    #[serde(skip_serializing)]
    password: String,
}

#[derive(Serialize, Deserialize)]
struct Lines {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    lines: Vec<u32>,
}

#[derive(Serialize, Deserialize)]
struct Measured {
    metres: f64,
}

#[derive(Serialize, Deserialize)]
struct Panicking {
    #[serde(deserialize_with = "panics")]
    value: u32,
}

fn panics<'de, D: serde::Deserializer<'de>>(_: D) -> Result<u32, D::Error> {
    panic!("out of range")
}

#[derive(Topic)]
#[topic(name = "shop")]
enum Shop {
    Amounts(Amounts),
    Stock(Stock),
    Choice(Choice),
    Secret(Secret),
    Lines(Lines),
    Measured(Measured),
    Panicking(Panicking),
}

fn counts() -> BTreeMap<u32, u32> {
    BTreeMap::from([(1, 7)])
}

/// One message of each kind, and a part of the cause.
fn unreadable() -> Vec<(Shop, &'static str)> {
    let amount = u128::from(u64::MAX) + 1;
    let secret = Secret {
        order: 1,
        password: "x".to_owned(),
    };
    let (order, nothing) = (f64::NAN, Vec::new());
    vec![
        (
            Shop::Amounts(Amounts {
                inner: Inner { amount },
            }),
            "u128",
        ),
        (
            Shop::Stock(Stock {
                inner: Counts { by_shelf: counts() },
            }),
            "u32",
        ),
        (
            Shop::Choice(Choice {
                value: Untagged::Counts(counts()),
            }),
            "untagged enum",
        ),
        (Shop::Secret(secret), "missing field `password`"),
        (
            Shop::Lines(Lines { lines: nothing }),
            "missing field `lines`",
        ),
        (Shop::Measured(Measured { metres: order }), "null"),
        (Shop::Panicking(Panicking { value: 1 }), "out of range"),
    ]
}

fn assert_refused(error: &Error, cause: &str) {
    let text = format!("{error:#}");
    for part in [
        "cannot dispatch ",
        "on topic \"shop\"",
        "cannot read the JSON that its `Serialize` has written",
        "nothing was written",
        "needs `default`",
        cause,
    ] {
        assert!(text.contains(part), "no {part:?} in: {text}");
    }
    assert_eq!(error.topic(), Some("shop"));
    assert!(error.message_id().is_some() && !error.is_retryable());
}

#[test]
#[cfg(debug_assertions)]
fn a_debug_build_dispatches_no_message_that_cannot_be_read_back() {
    let shop = MessageDispatcher::<Shop>::new();
    for (message, cause) in unreadable() {
        let mut bus = InMemoryMessageBus::default();
        assert_refused(&shop.dispatch(&mut bus, &message).unwrap_err(), cause);
        let batch = [Shop::Lines(Lines { lines: vec![1] }), message];
        assert_refused(&shop.dispatch_batch(&mut bus, batch).unwrap_err(), cause);
        assert!(bus.messages.messages().is_empty());
    }
    let mut bus = InMemoryMessageBus::default();
    for message in [
        Shop::Lines(Lines { lines: vec![1] }),
        Shop::Measured(Measured { metres: 0.1 }),
    ] {
        shop.dispatch(&mut bus, &message).unwrap();
    }
}

#[test]
fn a_golden_file_refuses_a_sample_that_cannot_be_read_back() {
    for (index, (_, cause)) in unreadable().into_iter().enumerate() {
        let text = complaint(move || {
            let mut samples = unreadable();
            samples.rotate_left(index);
            let golden = Golden::<Shop>::new("there is no such file");
            let golden = samples
                .iter()
                .fold(golden, |golden, (sample, _)| golden.sample(sample));
            golden.check();
        });
        assert!(text.contains(cause), "no {cause:?} in: {text}");
    }
}
