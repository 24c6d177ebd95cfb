use chrono::{DateTime, SecondsFormat, SubsecRound, Utc};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{Error, MessageDescriptor, name};

/// The names of the library's own headers begin like this; custom ones must not.
const RESERVED: &str = "__";
const MESSAGE_ID: &str = "__message_id";
const MESSAGE_TYPE: &str = "__message_type";
const MESSAGE_VERSION: &str = "__message_version";
const CORRELATION_ID: &str = "__correlation_id";
const CAUSATION_ID: &str = "__causation_id";
const MESSAGE_TOPIC: &str = "__message_topic";
const TIME_OF_RECORDING: &str = "__time_of_recording";

/// What is known about a message beside its payload.
///
/// On the way out the dispatcher sets topic and type, and the decorators the rest. Stored, they are
/// one JSON object, with the names of the library's own beginning with two underscores.
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
    time_of_recording: Option<DateTime<Utc>>,
    topic: &'static str,
    message_type: &'static str,
    message_version: u32,
    correlation_id: Option<String>,
    causation_id: Option<Uuid>,
    custom: Map<String, Value>,
}

impl Headers {
    /// No headers yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Identifies the message; `None` until a decorator or the caller has set it.
    #[must_use]
    pub fn message_id(&self) -> Option<Uuid> {
        self.message_id
    }

    /// When the message was recorded; `None` until a decorator or the caller has set it.
    #[must_use]
    pub fn time_of_recording(&self) -> Option<DateTime<Utc>> {
        self.time_of_recording
    }

    /// The topic that the message is dispatched on; empty before it is.
    #[must_use]
    pub fn topic(&self) -> &'static str {
        self.topic
    }

    /// The type that the message is dispatched as; empty before it is.
    #[must_use]
    pub fn message_type(&self) -> &'static str {
        self.message_type
    }

    /// The flow that the message belongs to; `None` for one of its own.
    #[must_use]
    pub fn correlation_id(&self) -> Option<&str> {
        self.correlation_id.as_deref()
    }

    /// The message that is the direct cause.
    #[must_use]
    pub fn causation_id(&self) -> Option<Uuid> {
        self.causation_id
    }

    /// A custom header.
    #[must_use]
    pub fn get(&self, header: &str) -> Option<&Value> {
        self.custom.get(header)
    }

    /// Sets the message id.
    pub fn set_message_id(&mut self, message_id: Uuid) {
        self.message_id = Some(message_id);
    }

    /// Sets the time of recording, in whole microseconds: what is finer is cut off.
    pub fn set_time_of_recording(&mut self, time: DateTime<Utc>) {
        self.time_of_recording = Some(time.trunc_subsecs(6));
    }

    /// Sets the flow that the message belongs to. It has at most
    /// [`MAX_NAME_LENGTH`](crate::MAX_NAME_LENGTH) characters, which is checked when the message is
    /// dispatched.
    pub fn set_correlation_id(&mut self, correlation_id: impl Into<String>) {
        self.correlation_id = Some(correlation_id.into());
    }

    /// Sets the message that is the direct cause.
    pub fn set_causation_id(&mut self, causation_id: Uuid) {
        self.causation_id = Some(causation_id);
    }

    /// Sets a custom header. Its name is checked when the message is dispatched: at most
    /// [`MAX_NAME_LENGTH`](crate::MAX_NAME_LENGTH) characters, not beginning with `__`.
    pub fn set(&mut self, header: impl Into<String>, value: impl Into<Value>) {
        self.custom.insert(header.into(), value.into());
    }

    /// These headers with the message id.
    #[must_use]
    pub fn with_message_id(mut self, message_id: Uuid) -> Self {
        self.set_message_id(message_id);
        self
    }

    /// These headers with the time of recording.
    #[must_use]
    pub fn with_time_of_recording(mut self, time: DateTime<Utc>) -> Self {
        self.set_time_of_recording(time);
        self
    }

    /// These headers with a custom one, as [`set`](Self::set) has it.
    #[must_use]
    pub fn with(mut self, header: impl Into<String>, value: impl Into<Value>) -> Self {
        self.set(header, value);
        self
    }

    pub(crate) fn address(&mut self, topic: &'static str, descriptor: &'static MessageDescriptor) {
        self.topic = topic;
        self.message_type = descriptor.name;
        self.message_version = descriptor.version;
    }

    /// The two headers that only decorators set, if the custom ones are in order too.
    pub(crate) fn complete(&self) -> Result<(Uuid, DateTime<Utc>), Error> {
        for header in self.custom.keys() {
            name::validate("header", header)?;
            if header.starts_with(RESERVED) {
                let problem = format!("begins with \"{RESERVED}\", which is reserved");
                return Err(Error::invalid_name("header", header, problem));
            }
        }
        if let Some(correlation_id) = &self.correlation_id {
            name::validate("correlation id", correlation_id)?;
        }
        let missing = |header| Error::missing_header(header, self.topic, self.message_type);
        let message_id = self.message_id.ok_or_else(|| missing(MESSAGE_ID))?;
        let time = self.time_of_recording;
        Ok((message_id, time.ok_or_else(|| missing(TIME_OF_RECORDING))?))
    }

    pub(crate) fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }

    /// The custom headers among the stored ones.
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
        map.serialize_entry(MESSAGE_TOPIC, self.topic)?;
        if let Some(time) = self.time_of_recording {
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
