//! Messages from outside with values that some database could not keep, or could change.

use chrono::{DateTime, Utc};
use persisting_message_bus::backend::{MAX_NAME_LENGTH, RawMessage, Slot};
use uuid::Uuid;

/// The maximum nesting of JSON.
const MAX_DEPTH: usize = 127;

/// Returns a message that every database keeps.
pub fn harmless() -> RawMessage {
    RawMessage {
        message_id: Uuid::now_v7(),
        topic: "orders".into(),
        message_type: "OrderShipped".into(),
        message_version: 1,
        payload: r#"{"order":1}"#.to_owned(),
        headers: "{}".to_owned(),
        published_at: time("2026-03-01T12:00:00.000001Z"),
        correlation_id: None,
        key_slot: Slot::NONE,
    }
}

/// Returns arrays that nest this deep.
pub fn nested(depth: usize) -> String {
    format!("{}{}", "[".repeat(depth), "]".repeat(depth))
}

fn time(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

fn payload(payload: impl Into<String>) -> RawMessage {
    RawMessage {
        payload: payload.into(),
        ..harmless()
    }
}

fn headers(headers: impl Into<String>) -> RawMessage {
    RawMessage {
        headers: headers.into(),
        ..harmless()
    }
}

/// Returns a message with any key, even one that no dispatch accepts.
fn keyed(key: &str) -> RawMessage {
    RawMessage {
        key_slot: Slot::of(key),
        ..headers(serde_json::json!({ "__message_key": key }).to_string())
    }
}

fn at(published_at: DateTime<Utc>) -> RawMessage {
    RawMessage {
        published_at,
        ..harmless()
    }
}

fn version(message_version: u32) -> RawMessage {
    RawMessage {
        message_version,
        ..harmless()
    }
}

fn named(topic: &str, message_type: &str, correlation_id: Option<&str>) -> RawMessage {
    RawMessage {
        topic: topic.to_owned().into(),
        message_type: message_type.to_owned().into(),
        correlation_id: correlation_id.map(str::to_owned),
        ..harmless()
    }
}

/// Returns messages that every repository refuses, each with the beginning of its problem.
pub fn refused() -> Vec<(RawMessage, &'static str)> {
    const NOT_JSON: &str = "its payload is not JSON: ";
    const NO_OBJECT: &str = "its headers are not a JSON object that can be read: ";
    const VERSION: &str = "its version must be from 1 to 2147483647";
    const YEAR: &str = "the time of recording is outside of the years 0 to 9999";
    let long = "\u{1f980}".repeat(MAX_NAME_LENGTH + 1);
    let deep = nested(MAX_DEPTH + 1);
    let mut refused = vec![
        (version(0), VERSION),
        (version(1 << 31), VERSION),
        (version(u32::MAX), VERSION),
        (at(time("9999-12-31T23:59:60Z")), YEAR),
        (at(DateTime::<Utc>::MAX_UTC), YEAR),
        (at(DateTime::<Utc>::MIN_UTC), YEAR),
        (
            payload(&*deep),
            "arrays and objects in its payload nest deeper than 127 levels",
        ),
        (
            payload(nested(100_000)),
            "arrays and objects in its payload nest",
        ),
        (
            headers(format!("{{\"a\":{}}}", nested(127))),
            "arrays and objects in its headers nest",
        ),
    ];
    for (key_slot, headers) in [
        (Slot::of("a"), "{}"),
        (Slot::of("a"), r#"{"__message_key":"b"}"#),
        (Slot::NONE, r#"{"__message_key":"a"}"#),
    ] {
        let headers = headers.to_owned();
        let message = RawMessage {
            key_slot,
            headers,
            ..harmless()
        };
        refused.push((message, "its key slot is "));
    }
    for name in ["", "a\0b", "a\nb", " a", "a ", &long] {
        refused.push((named(name, "OrderShipped", None), "the topic \""));
        refused.push((named("orders", name, None), "the message type \""));
        refused.push((
            named("orders", "OrderShipped", Some(name)),
            "the correlation id \"",
        ));
    }
    let not_json = [
        "",
        " ",
        "\0",
        "{\"order\":1}\0",
        "{\"order\":\0 1}",
        "{\"note\":\"a\0b\"}",
        "{\"note\":\"a\nb\"}",
        "\u{feff}{\"order\":1}",
        "{\"order\":1",
        "{\"order\":1,}",
        "{'order':1}",
        "{order:1}",
        "{\"order\":1} {}",
        "{\"order\":01}",
        "{\"order\":+1}",
        "{\"order\":1.}",
        "{\"order\":-}",
        "{\"order\":1e}",
        "{\"order\":1e+}",
        "{\"order\":1e++1}",
        "{\"x\":\"a-b\", \"ok\":-}",
        "[1e-]",
        "{\"order\":NaN}",
        "{\"order\":Infinity}",
        "{\"note\":\"\\x\"}",
        "{\"note\":\"\\u12\"}",
        "/* */ {}",
        "nul",
        "\u{a0}1",
    ];
    for text in not_json {
        refused.push((payload(text), NOT_JSON));
        refused.push((headers(text), NO_OBJECT));
    }
    for text in [
        "[]",
        "null",
        "1",
        "\"{}\"",
        r#"{"a":"\ud800"}"#,
        r#"{"a":["\udc00"]}"#,
        r#"{"\ud800":1}"#,
        r#"{"a":1e400}"#,
    ] {
        refused.push((headers(text), NO_OBJECT));
    }
    refused
}

/// Returns messages that every repository accepts, each with the message that it then returns.
pub fn accepted() -> Vec<(RawMessage, RawMessage)> {
    let longest = "\u{1f980}".repeat(MAX_NAME_LENGTH);
    let mut unchanged = vec![
        harmless(),
        version(i32::MAX.cast_unsigned()),
        named("orders", &longest, None),
        headers(format!("{{\"__correlation_id\":\"{longest}\"}}")),
        headers(r#"{"__correlation_id":7,"__causation_id":"no","traceparent":[]}"#),
        headers(r#"{"__message_key":7}"#),
        headers(r#"{"__message_key":""}"#),
        keyed(" \u{fc} \0"),
        keyed(&longest.repeat(2)),
        headers(r#" { "a" : "\u0000\ud83e\udd80" , "a" : -0.0 } "#),
        headers(format!("{{\"a\":{}}}", nested(MAX_DEPTH - 1))),
        payload(nested(MAX_DEPTH)),
    ];
    for text in [
        "null",
        " \r\n\t1 \n",
        "\"\"",
        r#""a\u0000b""#,
        r#""\ud800""#,
        r#"{"\udc00":"\ud800\ud800"}"#,
        r#"{"a":1,"a":2}"#,
        "1e400",
        "-0",
        "0.10",
        "123456789012345678901234567890.5E-7",
        "\"\u{7f}\u{fffe}\u{10ffff}\u{2028}\"",
        r#""\/\b\f\n\r\t\\\"""#,
    ] {
        unchanged.push(payload(text));
    }
    for text in [
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00Z",
        "0999-12-31T23:59:59.999999Z",
        "1582-10-10T00:00:00Z",
        "1900-02-28T23:59:59.5Z",
        "1969-12-31T23:59:59.999999Z",
        "9999-12-31T23:59:59.999999Z",
    ] {
        unchanged.push(at(time(text)));
    }
    let mut accepted: Vec<_> = unchanged
        .into_iter()
        .map(|mut message| {
            // A repository returns the id of the headers.
            let flow = message
                .headers
                .contains("_id\":\"\u{1f980}")
                .then(|| longest.clone());
            message.correlation_id = flow;
            (message.clone(), message)
        })
        .collect();
    for (given, kept) in [
        (
            "2026-03-01T12:00:00.000001999Z",
            "2026-03-01T12:00:00.000001Z",
        ),
        (
            "1999-12-31T23:59:59.999999999Z",
            "1999-12-31T23:59:59.999999Z",
        ),
        ("1960-01-01T00:00:00.000000999Z", "1960-01-01T00:00:00Z"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"),
        (
            "2016-12-31T23:59:60.999999999Z",
            "2017-01-01T00:00:00.999999Z",
        ),
        (
            "9999-12-31T23:59:59.999999999Z",
            "9999-12-31T23:59:59.999999Z",
        ),
    ] {
        let message = at(time(given));
        let published_at = time(kept);
        accepted.push((
            message.clone(),
            RawMessage {
                published_at,
                ..message
            },
        ));
    }
    accepted
}
