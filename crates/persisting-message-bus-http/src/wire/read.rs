//! Reads a message from a CloudEvent.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use persisting_message_bus::Position;
use persisting_message_bus::backend::StoredMessage;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{MAX_VERSION, SPECVERSION};

#[derive(Deserialize)]
pub(crate) struct Event<'a> {
    #[serde(borrow)]
    specversion: Cow<'a, str>,
    id: Uuid,
    #[serde(borrow, rename = "type")]
    message_type: Cow<'a, str>,
    time: DateTime<Utc>,
    #[serde(borrow)]
    topic: Cow<'a, str>,
    #[serde(borrow)]
    sequence: Cow<'a, str>,
    messageversion: u32,
    #[serde(borrow)]
    headers: Cow<'a, str>,
    #[serde(default, deserialize_with = "in_json")]
    storedheaders: Option<String>,
    #[serde(borrow)]
    data: &'a RawValue,
}

impl Event<'_> {
    /// Returns the message, or the problem with the event.
    pub(crate) fn as_stored(&self) -> Result<StoredMessage<'_>, String> {
        if self.specversion != SPECVERSION {
            let found = &self.specversion;
            return Err(format!("has the specversion {found:?} instead of 1.0"));
        }
        if !(1..=MAX_VERSION).contains(&self.messageversion) {
            let found = self.messageversion;
            return Err(format!(
                "has the version {found}, but versions are from 1 to {MAX_VERSION}"
            ));
        }
        let position = position(&self.sequence).ok_or_else(|| {
            format!(
                "has the sequence {:?}, which is not a position",
                self.sequence
            )
        })?;
        Ok(StoredMessage {
            position,
            message_id: self.id,
            topic: &self.topic,
            message_type: &self.message_type,
            message_version: self.messageversion,
            payload: self.data.get(),
            headers: self.storedheaders.as_deref().unwrap_or(&self.headers),
            published_at: self.time,
        })
    }
}

/// Reads a text that contains a text of JSON.
fn in_json<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = Cow::<'_, str>::deserialize(deserializer)?;
    serde_json::from_str(&text)
        .map(Some)
        .map_err(D::Error::custom)
}

/// Parses a position in digits.
pub(crate) fn position(text: &str) -> Option<Position> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.then(|| text.parse().ok()).flatten();
    number.map(Position::new)
}
