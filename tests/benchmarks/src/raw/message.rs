//! Conversions between messages and rows, equal to those of the library.

use benchmark_rows::Failure;
use benchmark_rows::topic::{Cancellations, Orders};
use chrono::{DateTime, SecondsFormat, SubsecRound, Utc};
use persisting_message_bus::Topic;
use serde::Serialize;
use uuid::Uuid;

/// A message to insert.
pub struct NewRow {
    pub message_id: Uuid,
    pub message_type: &'static str,
    pub payload: String,
    pub headers: String,
    pub published_at: DateTime<Utc>,
}

/// The library's own headers.
#[derive(Serialize)]
struct Headers<'a> {
    __message_id: Uuid,
    __message_type: &'a str,
    __message_topic: &'a str,
    __time_of_recording: String,
}

impl NewRow {
    pub fn of(message: &Orders) -> Result<Self, Failure> {
        let (message_type, payload) = match message {
            Orders::OrderPlaced(placed) => ("OrderPlaced", serde_json::to_string(placed)?),
            Orders::OrderCancelled(cancelled) => {
                ("OrderCancelled", serde_json::to_string(cancelled)?)
            }
        };
        let message_id = Uuid::now_v7();
        let published_at = Utc::now().trunc_subsecs(6);
        let headers = serde_json::to_string(&Headers {
            __message_id: message_id,
            __message_type: message_type,
            __message_topic: Orders::NAME,
            __time_of_recording: published_at.to_rfc3339_opts(SecondsFormat::Micros, true),
        })?;
        Ok(Self {
            message_id,
            message_type,
            payload,
            headers,
            published_at,
        })
    }

    pub fn all_of(messages: &[Orders]) -> Result<Vec<Self>, Failure> {
        messages.iter().map(Self::of).collect()
    }
}

/// A message as it is read, with everything that a handler can use.
#[derive(Debug)]
#[expect(
    dead_code,
    reason = "the handlers that are measured only keep it from being optimised out"
)]
pub struct Row<'a> {
    pub id: i64,
    pub message_id: Uuid,
    pub message_type: &'a str,
    pub message_version: i64,
    pub payload: &'a str,
    pub headers: &'a str,
    pub published_at: DateTime<Utc>,
}

/// Decodes a message by the name of its type.
pub trait Decode: Sized {
    /// The message type to query for, or `None` for all types.
    const MESSAGE_TYPE: Option<&'static str>;

    fn decode(row: &Row<'_>) -> Result<Self, Failure>;
}

impl Decode for Orders {
    const MESSAGE_TYPE: Option<&'static str> = None;

    fn decode(row: &Row<'_>) -> Result<Self, Failure> {
        Ok(match row.message_type {
            "OrderPlaced" => Self::OrderPlaced(serde_json::from_str(row.payload)?),
            "OrderCancelled" => Self::OrderCancelled(serde_json::from_str(row.payload)?),
            unknown => return Err(format!("an unknown message type: {unknown}").into()),
        })
    }
}

impl Decode for Cancellations {
    const MESSAGE_TYPE: Option<&'static str> = Some("OrderCancelled");

    fn decode(row: &Row<'_>) -> Result<Self, Failure> {
        Ok(Self::OrderCancelled(serde_json::from_str(row.payload)?))
    }
}
