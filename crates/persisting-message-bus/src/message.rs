use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use chrono::{DateTime, Utc};
use serde::de::Error as _;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::consumer::text_of_panic;
use crate::correlation::{self, Caused};
use crate::shared_text::{SharedText, SharedTexts};
use crate::{Error, EventSet, Headers, Position, StoredMessage};

/// A message on its way to a handler: the typed payload and what is known about it.
#[derive(Debug, Clone)]
pub struct Message<S> {
    position: Position,
    message_id: Uuid,
    topic: &'static str,
    published_at: DateTime<Utc>,
    headers: SharedText,
    is_replay: bool,
    payload: S,
}

impl<S: EventSet> Message<S> {
    /// Reads it, as one that is handled again because of a reset, or not. Its headers are there when `headers`
    /// is dropped.
    pub(crate) fn decode(
        topic: &'static str,
        stored: &StoredMessage<'_>,
        is_replay: bool,
        headers: &mut SharedTexts,
    ) -> Result<Self, Error> {
        Ok(Self {
            position: stored.position,
            message_id: stored.message_id,
            topic,
            published_at: stored.published_at,
            headers: headers.add(stored.headers),
            is_replay,
            payload: decode(stored)?,
        })
    }

    /// The wire name of its type.
    #[must_use]
    pub fn message_type(&self) -> &str {
        self.payload.message_type()
    }

    /// The custom headers, parsed anew at each call.
    ///
    /// # Errors
    ///
    /// When what is stored is not a JSON object.
    pub fn headers(&self) -> Result<Map<String, Value>, Error> {
        Headers::custom_from_json(self.headers_json())
            .map_err(|cause| Error::decode_headers(self, cause))
    }
}

/// A panic of the application's code is the message's failure.
fn decode<S: EventSet>(stored: &StoredMessage<'_>) -> Result<S, Error> {
    catch_unwind(AssertUnwindSafe(|| S::decode(stored))).unwrap_or_else(|panic| {
        let text = format!("decoding it panicked: {}", text_of_panic(&*panic));
        Err(Error::decode(stored, serde_json::Error::custom(text)))
    })
}

impl<S> Message<S> {
    /// Where it stands in its repository.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// Identifies the message everywhere: the key that makes an external handler idempotent.
    #[must_use]
    pub fn message_id(&self) -> Uuid {
        self.message_id
    }

    /// The topic that it was dispatched on.
    #[must_use]
    pub fn topic(&self) -> &'static str {
        self.topic
    }

    /// When it was recorded.
    #[must_use]
    pub fn time_of_recording(&self) -> DateTime<Utc> {
        self.published_at
    }

    /// The flow that it belongs to: its own id, if it has started it.
    #[must_use]
    pub fn correlation_id(&self) -> Cow<'_, str> {
        let own = || Cow::Owned(self.message_id.to_string());
        correlation::correlation_id(self.headers_json()).unwrap_or_else(own)
    }

    /// The message that is its direct cause; `None` where it has started its flow.
    #[must_use]
    pub fn causation_id(&self) -> Option<Uuid> {
        correlation::causation_id(self.headers_json())
    }

    /// From now on, what is dispatched on this thread is caused by this message.
    pub(crate) fn set_as_cause(&self, caused: &Caused) {
        caused.by_message(self.message_id, &self.headers);
    }

    /// All stored headers, as a JSON object.
    #[must_use]
    pub fn headers_json(&self) -> &str {
        self.headers.as_str()
    }

    /// Whether the consumer's cursor was behind this message before, and it comes again because of a
    /// [`reset`](crate::MessageConsumer::reset). So does one that was parked or skipped the first time. A redelivery after a crash is no replay, and neither is
    /// what a new consumer gets from the start of the topic.
    #[must_use]
    pub fn is_replay(&self) -> bool {
        self.is_replay
    }

    /// The message itself.
    #[must_use]
    pub fn payload(&self) -> &S {
        &self.payload
    }

    /// The message itself, to keep.
    #[must_use]
    pub fn into_payload(self) -> S {
        self.payload
    }
}
