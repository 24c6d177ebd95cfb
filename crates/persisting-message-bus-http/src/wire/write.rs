//! Writes a message as a CloudEvent.

use chrono::{DateTime, Utc};
use persisting_message_bus::Position;
use persisting_message_bus::backend::StoredMessage;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::SPECVERSION;

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
    correlationid: Flow<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    causationid: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    partitionkey: Option<&'a RawValue>,
    headers: &'a str,
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
/// When the payload is not JSON. Then nothing is appended.
pub(crate) fn event(
    out: &mut Vec<u8>,
    source: &str,
    message: &StoredMessage<'_>,
) -> Result<(), serde_json::Error> {
    // Headers that are not an object are passed on as they are, and set no attribute.
    let named: Named<'_> = serde_json::from_str(message.headers).unwrap_or_default();
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
            Some(flow) => Flow::Named(flow),
            None => Flow::Own(message.message_id),
        },
        causationid: named.causation.filter(is_text),
        traceparent: named.traceparent.filter(is_text),
        partitionkey: named.partitionkey.filter(is_text),
        headers: message.headers,
        data: serde_json::from_str(message.payload)?,
    };
    serde_json::to_writer(out, &event)
}

/// Returns `true` for a non-empty text, because these attributes of a CloudEvent must be non-empty
/// texts.
fn is_text(json: &&RawValue) -> bool {
    json.get().starts_with('"') && json.get() != "\"\""
}
