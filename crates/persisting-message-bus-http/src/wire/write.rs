//! Writes a message as a CloudEvent.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use persisting_message_bus::Position;
use persisting_message_bus::backend::StoredMessage;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use thiserror::Error;
use uuid::Uuid;

use super::compact::{compact, is_of_attribute};
use super::{MAX_VERSION, SPECVERSION};

/// The reason why a message cannot be a CloudEvent.
#[derive(Debug, Error)]
pub(crate) enum Unservable {
    #[error("its payload is not JSON: {0}")]
    Payload(#[from] serde_json::Error),
    #[error("its version is {0}, but versions are from 1 to {MAX_VERSION}")]
    Version(u32),
}

#[derive(Serialize)]
struct Event<'a> {
    specversion: &'static str,
    id: Uuid,
    source: &'a str,
    #[serde(rename = "type")]
    message_type: &'a str,
    time: DateTime<Utc>,
    datacontenttype: &'static str,
    topic: &'a str,
    sequence: Sequence,
    messageversion: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlationid: Option<Flow<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    causationid: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    partitionkey: Option<&'a RawValue>,
    headers: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    storedheaders: Option<String>,
    data: &'a RawValue,
}

/// The flow that a message names, or the flow that it starts.
#[derive(Serialize)]
#[serde(untagged)]
enum Flow<'a> {
    Named(&'a RawValue),
    Own(Uuid),
}

/// The headers that have a name in CloudEvents.
#[derive(Default, Deserialize)]
struct Named<'a> {
    #[serde(borrow, default, rename = "__correlation_id")]
    correlation: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "__causation_id")]
    causation: Option<&'a RawValue>,
    #[serde(borrow, default)]
    traceparent: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "__message_key")]
    key: Option<&'a RawValue>,
    #[serde(borrow, default)]
    partitionkey: Option<&'a RawValue>,
}

struct Sequence(Position);

impl Serialize for Sequence {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:020}", self.0.get()))
    }
}

/// Appends the message to a text.
///
/// # Errors
///
/// When the payload is not JSON, or no CloudEvent can have the version. Then nothing is appended.
pub(crate) fn event(
    out: &mut Vec<u8>,
    source: &str,
    message: &StoredMessage<'_>,
) -> Result<(), Unservable> {
    if !(1..=MAX_VERSION).contains(&message.message_version) {
        return Err(Unservable::Version(message.message_version));
    }
    // Headers that are not an object are passed on as they are, and set no attribute.
    let named: Named<'_> = serde_json::from_str(message.headers).unwrap_or_default();
    let headers = compact(message.headers);
    let event = Event {
        specversion: SPECVERSION,
        id: message.message_id,
        source,
        message_type: message.message_type,
        time: message.published_at,
        datacontenttype: "application/json",
        topic: message.topic,
        sequence: Sequence(message.position),
        messageversion: message.message_version,
        correlationid: match named.correlation.filter(is_text) {
            Some(flow) => is_attribute(&flow).then_some(Flow::Named(flow)),
            None => Some(Flow::Own(message.message_id)),
        },
        causationid: named.causation.filter(is_attribute),
        traceparent: named.traceparent.filter(is_attribute),
        partitionkey: named
            .key
            .filter(is_text)
            .or(named.partitionkey)
            .filter(is_attribute),
        storedheaders: as_stored(message.headers, &headers)?,
        headers,
        data: serde_json::from_str(message.payload)?,
    };
    Ok(serde_json::to_writer(out, &event)?)
}

/// Returns the stored headers as a JSON text, if they differ from those of the event. With them, a
/// relay copies the message without a change.
fn as_stored(stored: &str, headers: &str) -> Result<Option<String>, serde_json::Error> {
    if stored == headers {
        return Ok(None);
    }
    let text = serde_json::to_string(stored)?;
    Ok(Some(compact(&text).into_owned()))
}

/// Returns `true` for a text that can be an attribute of a CloudEvent: it is not empty and has no
/// control characters.
fn is_attribute(json: &&RawValue) -> bool {
    let is_good = |text: &str| !text.is_empty() && text.chars().all(is_of_attribute);
    match json
        .get()
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
    {
        Some(text) if !text.contains('\\') => is_good(text),
        Some(_) => serde_json::from_str::<String>(json.get()).is_ok_and(|text| is_good(&text)),
        None => false,
    }
}

/// Returns `true` for a non-empty text.
fn is_text(json: &&RawValue) -> bool {
    json.get().starts_with('"') && json.get() != "\"\""
}
