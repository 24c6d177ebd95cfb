use std::borrow::Cow;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::error::Error;
use crate::message::topic::MessageDescriptor;
use crate::message::{flow_id, name, plain_json, time};

/// The prefix of the library's own headers; custom headers must not begin with it.
const RESERVED: &str = "__";
const MESSAGE_ID: &str = "__message_id";
const MESSAGE_TYPE: &str = "__message_type";
const MESSAGE_VERSION: &str = "__message_version";
const CORRELATION_ID: &str = "__correlation_id";
const CAUSATION_ID: &str = "__causation_id";
const MESSAGE_KEY: &str = "__message_key";
const MESSAGE_TOPIC: &str = "__message_topic";
const TIME_OF_RECORDING: &str = "__time_of_recording";

/// The metadata of a message.
///
/// The dispatcher sets topic and type; the decorators set the rest. Headers are stored as one JSON
/// object, in which the names of the library's own headers begin with two underscores.
///
/// ```
/// use persisting_message_bus::Headers;
///
/// let headers = Headers::new().with("tenant", "acme");
/// assert_eq!(headers.get("tenant").and_then(|tenant| tenant.as_str()), Some("acme"));
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Headers {
    message_id: Option<Uuid>,
    recorded_at: Option<DateTime<Utc>>,
    topic: &'static str,
    message_type: &'static str,
    message_version: u32,
    key: Option<String>,
    correlation_id: Option<String>,
    causation_id: Option<Uuid>,
    custom: Map<String, Value>,
}

impl Headers {
    /// Creates empty headers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the message id; `None` until a decorator or the caller has set it.
    #[must_use]
    pub fn message_id(&self) -> Option<Uuid> {
        self.message_id
    }

    /// Returns the time of recording; `None` until a decorator or the caller has set it.
    #[must_use]
    pub fn recorded_at(&self) -> Option<DateTime<Utc>> {
        self.recorded_at
    }

    /// Returns the topic of the message; empty before the dispatch.
    #[must_use]
    pub fn topic(&self) -> &'static str {
        self.topic
    }

    /// Returns the type of the message; empty before the dispatch.
    #[must_use]
    pub fn message_type(&self) -> &'static str {
        self.message_type
    }

    /// Returns the text of the message's key; `None` before the dispatch, and for a message without a
    /// key.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// Returns the id of the flow that the message belongs to; `None` if it starts a flow.
    #[must_use]
    pub fn correlation_id(&self) -> Option<&str> {
        self.correlation_id.as_deref()
    }

    /// Returns the id of the message that is the direct cause.
    #[must_use]
    pub fn causation_id(&self) -> Option<Uuid> {
        self.causation_id
    }

    /// Returns a custom header.
    #[must_use]
    pub fn get(&self, header: &str) -> Option<&Value> {
        self.custom.get(header)
    }

    /// Sets the message id.
    pub fn set_message_id(&mut self, message_id: Uuid) {
        self.message_id = Some(message_id);
    }

    /// Sets the time of recording, in the years 0 to 9999; the dispatch checks that. Fractions of a
    /// microsecond are cut off, and a leap second becomes the second after it.
    pub fn set_recorded_at(&mut self, time: DateTime<Utc>) {
        self.recorded_at = Some(time::storable(time));
    }

    /// Sets the flow that the message belongs to, from any text: see
    /// [`Correlation::of_flow`](crate::Correlation::of_flow). An empty id means that no flow is set.
    pub fn set_correlation_id(&mut self, correlation_id: impl Into<String>) {
        self.correlation_id = flow_id::accept(correlation_id.into());
    }

    /// Sets the message that is the direct cause.
    pub fn set_causation_id(&mut self, causation_id: Uuid) {
        self.causation_id = Some(causation_id);
    }

    /// Sets a custom header. Its name has at most [`MAX_NAME_LENGTH`](crate::backend::MAX_NAME_LENGTH)
    /// characters and must not begin with `__`; the dispatch checks that.
    pub fn set(&mut self, header: impl Into<String>, value: impl Into<Value>) {
        self.custom.insert(header.into(), value.into());
    }

    /// Returns these headers with the message id set.
    #[must_use]
    pub fn with_message_id(mut self, message_id: Uuid) -> Self {
        self.set_message_id(message_id);
        self
    }

    /// Returns these headers with the time of recording set.
    #[must_use]
    pub fn with_recorded_at(mut self, time: DateTime<Utc>) -> Self {
        self.set_recorded_at(time);
        self
    }

    /// Returns these headers with a custom header set: see [`set`](Self::set).
    #[must_use]
    pub fn with(mut self, header: impl Into<String>, value: impl Into<Value>) -> Self {
        self.set(header, value);
        self
    }

    pub(crate) fn address(
        &mut self,
        topic: &'static str,
        descriptor: &'static MessageDescriptor,
        key: Option<Cow<'_, str>>,
    ) {
        self.topic = topic;
        self.message_type = descriptor.name;
        self.message_version = descriptor.version;
        self.key = key.map(Cow::into_owned);
    }

    /// Checks the text of the key. `source` is the field or function that has it.
    pub(crate) fn validate_key(&self, source: Option<&str>) -> Result<(), Error> {
        let Some(key) = &self.key else {
            return Ok(());
        };
        let Some(problem) = name::name_problem(key) else {
            return Ok(());
        };
        let problem = match source {
            Some(source) => format!("of `{source}` {problem}"),
            None => problem,
        };
        Err(Error::invalid_name("key", key, problem))
    }

    /// Checks the names of the custom headers.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        self.custom.keys().try_for_each(|header| {
            name::validate("header", header)?;
            if header.starts_with(RESERVED) {
                let problem = format!("begins with \"{RESERVED}\", which is reserved");
                return Err(Error::invalid_name("header", header, problem));
            }
            Ok(())
        })
    }

    /// Returns the two headers that only decorators set.
    pub(crate) fn complete(&self) -> Result<(Uuid, DateTime<Utc>), Error> {
        let missing = |header| Error::missing_header(header, self.topic, self.message_type);
        let message_id = self.message_id.ok_or_else(|| missing(MESSAGE_ID))?;
        let time = self.recorded_at;
        Ok((message_id, time.ok_or_else(|| missing(TIME_OF_RECORDING))?))
    }

    pub(crate) fn to_json(&self) -> Result<String, serde_json::Error> {
        Ok(plain_json::plain(serde_json::to_string(self)?))
    }

    /// Returns the custom headers among the stored headers.
    pub(crate) fn custom_from_json(json: &str) -> Result<Map<String, Value>, serde_json::Error> {
        let mut headers: Map<String, Value> = serde_json::from_str(json)?;
        headers.retain(|header, _| !header.starts_with(RESERVED));
        Ok(headers)
    }
}

impl Serialize for Headers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(message_id) = self.message_id {
            let mut buffer = Uuid::encode_buffer();
            let text = message_id.hyphenated().encode_lower(&mut buffer);
            map.serialize_entry(MESSAGE_ID, text)?;
        }
        map.serialize_entry(MESSAGE_TYPE, self.message_type)?;
        if self.message_version > 1 {
            map.serialize_entry(MESSAGE_VERSION, &self.message_version)?;
        }
        if let Some(key) = &self.key {
            map.serialize_entry(MESSAGE_KEY, key)?;
        }
        map.serialize_entry(MESSAGE_TOPIC, self.topic)?;
        if let Some(time) = self.recorded_at {
            let text = time.to_rfc3339_opts(SecondsFormat::Micros, true);
            map.serialize_entry(TIME_OF_RECORDING, &text)?;
        }
        if let Some(correlation_id) = &self.correlation_id {
            map.serialize_entry(CORRELATION_ID, correlation_id)?;
        }
        if let Some(causation_id) = self.causation_id {
            let mut buffer = Uuid::encode_buffer();
            let text = causation_id.hyphenated().encode_lower(&mut buffer);
            map.serialize_entry(CAUSATION_ID, text)?;
        }
        for (header, value) in &self.custom {
            map.serialize_entry(header, value)?;
        }
        map.end()
    }
}
