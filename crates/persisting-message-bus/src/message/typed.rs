use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde::de::Error as _;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::error::Error;
use crate::message::headers::Headers;
use crate::message::raw::StoredMessage;
use crate::message::stored_headers::{self, StoredHeaders};
use crate::message::text_arena::{TextArena, TextSlice};
use crate::message::topic::EventSet;
use crate::panics::catch;
use crate::position::Position;

/// A message on its way to a handler: the typed payload and its metadata.
///
/// ```
/// use persisting_message_bus::memory::InMemoryMessageBus;
/// use persisting_message_bus::{Headers, Message, MessageConsumer, MessageDispatcher, Topic};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct OrderPlaced { order: i32 }
///
/// #[derive(Topic)]
/// #[topic(name = "orders")]
/// enum Orders { OrderPlaced(OrderPlaced) }
///
/// let mut bus = InMemoryMessageBus::default();
/// let (orders, placed) = (MessageDispatcher::<Orders>::new(), OrderPlaced { order: 7 });
/// let id = orders.dispatch_with(&mut bus, &placed, Headers::new().with("tenant", "acme"))?;
///
/// let handler = |message: &Message<Orders>| {
///     let Orders::OrderPlaced(placed) = message.payload();
///     assert_eq!(placed.order, 7);
///     assert_eq!(message.message_id(), id);
///     assert_eq!(message.message_type(), "OrderPlaced");
///     assert_eq!(message.headers()?["tenant"], "acme");
///     Ok(())
/// };
/// let mut consumer = MessageConsumer::<Orders>::external("mailer", handler);
/// assert_eq!(consumer.handle_page(&mut bus)?, 1);
/// # Ok::<(), persisting_message_bus::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Message<S> {
    position: Position,
    message_id: Uuid,
    topic: &'static str,
    published_at: DateTime<Utc>,
    headers: TextSlice,
    delivery: Delivery,
    payload: S,
}

/// How a message comes to its consumer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Delivery {
    /// Whether a reset caused the delivery.
    pub(crate) is_replay: bool,
    /// The fencing token of the leases under which it is delivered.
    pub(crate) token: i64,
}

impl<S: EventSet> Message<S> {
    /// Decodes a stored message. The headers are readable after `headers` is dropped.
    pub(crate) fn decode(
        topic: &'static str,
        stored: &StoredMessage<'_>,
        delivery: Delivery,
        headers: &mut TextArena,
    ) -> Result<Self, Error> {
        Ok(Self {
            position: stored.position,
            message_id: stored.message_id,
            topic,
            published_at: stored.published_at,
            headers: headers.add(stored.headers),
            delivery,
            payload: decode(stored)?,
        })
    }

    /// Returns the wire name of its type.
    #[must_use]
    pub fn message_type(&self) -> &str {
        self.payload.message_type()
    }

    /// Returns the custom headers. Each call parses them again.
    ///
    /// # Errors
    ///
    /// If the stored headers are not a JSON object.
    pub fn headers(&self) -> Result<Map<String, Value>, Error> {
        Headers::custom_from_json(self.headers_json())
            .map_err(|cause| Error::decode_headers(self, cause))
    }
}

/// Decodes a stored message. A panic of the application's code is a failure of the message.
fn decode<S: EventSet>(stored: &StoredMessage<'_>) -> Result<S, Error> {
    catch(|| S::decode(stored)).unwrap_or_else(|text| {
        let text = format!("decoding it panicked: {text}");
        Err(Error::decode(stored, serde_json::Error::custom(text)))
    })
}

impl<S> Message<S> {
    /// Returns its position in the repository.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// Returns the message id, which is the same everywhere. Use it as the key that makes an
    /// external handler idempotent.
    #[must_use]
    pub fn message_id(&self) -> Uuid {
        self.message_id
    }

    /// Returns the topic that it was dispatched on.
    #[must_use]
    pub fn topic(&self) -> &'static str {
        self.topic
    }

    /// Returns the time of recording.
    #[must_use]
    pub fn recorded_at(&self) -> DateTime<Utc> {
        self.published_at
    }

    /// Returns the text of its key; `None` for a message without a key.
    #[must_use]
    pub fn key(&self) -> Option<Cow<'_, str>> {
        stored_headers::key(self.headers_json())
    }

    /// Returns the id of the flow that it belongs to; its own id if it has started the flow.
    #[must_use]
    pub fn correlation_id(&self) -> Cow<'_, str> {
        let own = || Cow::Owned(self.message_id.to_string());
        stored_headers::correlation_id(self.headers_json()).unwrap_or_else(own)
    }

    /// Returns the id of the message that is its direct cause; `None` if it has started its flow.
    #[must_use]
    pub fn causation_id(&self) -> Option<Uuid> {
        stored_headers::causation_id(self.headers_json())
    }

    /// Returns the trace that it belongs to, in the format of the
    /// [W3C's Trace Context](https://www.w3.org/TR/trace-context/#traceparent-header); `None` if its
    /// header `traceparent` does not exist or is invalid.
    #[must_use]
    pub fn traceparent(&self) -> Option<Cow<'_, str>> {
        StoredHeaders::of(self.headers_json()).traceparent()
    }

    pub(crate) fn shared_headers(&self) -> &TextSlice {
        &self.headers
    }

    /// Returns all stored headers, as a JSON object.
    #[must_use]
    pub fn headers_json(&self) -> &str {
        self.headers.as_str()
    }

    /// Returns `true` if the consumer has already passed this message and receives it again after a
    /// [`reset`](crate::MessageConsumer::reset). That includes a message that was parked or skipped
    /// the first time.
    ///
    /// A redelivery after a crash is not a replay. Neither is the first delivery to a new consumer
    /// that begins at the start of the topic.
    #[must_use]
    pub fn is_replay(&self) -> bool {
        self.delivery.is_replay
    }

    /// Returns a number that increases each time another holder takes over the work for this message's
    /// key, or for the whole topic if the consumer is not divided.
    ///
    /// A process that was frozen can resume after its lease has expired, and finish the handler that it
    /// had begun. A resource outside of the database can refuse that late write: it keeps the highest
    /// number that it has received with each key, and refuses lower ones. The lease alone protects
    /// only the tables that the consumer's own transaction changes.
    ///
    /// The numbers of one holder can repeat. They never decrease, also not when the consumer is reset,
    /// the number of its segments changes, or a topic is added. They can decrease once when the consumer
    /// stops to read a topic.
    #[must_use]
    pub fn fencing_token(&self) -> i64 {
        self.delivery.token
    }

    /// Returns the payload.
    #[must_use]
    pub fn payload(&self) -> &S {
        &self.payload
    }

    /// Returns the payload by value.
    #[must_use]
    pub fn into_payload(self) -> S {
        self.payload
    }
}
