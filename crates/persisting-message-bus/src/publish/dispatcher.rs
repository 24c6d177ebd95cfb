use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::time::Instant;

use uuid::Uuid;

use crate::error::Error;
use crate::message::headers::Headers;
use crate::message::json::is_too_deep;
use crate::message::raw::RawMessage;
use crate::message::slot::Slot;
use crate::message::storable::Dispatched;
use crate::message::topic::{MessageOf, Topic};
use crate::observe;
use crate::panics::catch_panic;
use crate::position::Position;
use crate::publish::correlation::Correlation;
use crate::publish::decorator::{DefaultMessageDecorator, MessageDecorator};
use crate::store::repository::{MessageRepository, OnDuplicate};

/// The largest number of messages for which memory is reserved before they are there.
const MOST_EXPECTED: usize = 4_096;

/// Publishes messages on the topic `T`.
///
/// It holds no connection: the caller passes the repository to each call. A Diesel connection that
/// is in a transaction makes the messages part of it. They are visible if and only if it commits.
///
/// ```
/// use persisting_message_bus::memory::InMemoryMessageBus;
/// use persisting_message_bus::{MessageDispatcher, Topic};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, Serialize, Deserialize)]
/// struct OrderPlaced {
///     total_cents: i64,
/// }
///
/// #[derive(Debug, Topic)]
/// #[topic(name = "orders")]
/// enum Orders {
///     OrderPlaced(OrderPlaced),
/// }
///
/// let mut bus = InMemoryMessageBus::default();
/// let orders = MessageDispatcher::<Orders>::new();
/// orders.dispatch(&mut bus, &OrderPlaced { total_cents: 1_250 })?;
/// orders.dispatch_batch(&mut bus, [OrderPlaced { total_cents: 1 }, OrderPlaced { total_cents: 2 }])?;
/// # Ok::<(), persisting_message_bus::Error>(())
/// ```
pub struct MessageDispatcher<T> {
    decorators: Vec<Box<dyn MessageDecorator>>,
    duplicates: OnDuplicate,
    topic: PhantomData<fn(T)>,
}

impl<T> MessageDispatcher<T> {
    /// Creates a dispatcher with the [`DefaultMessageDecorator`].
    #[must_use]
    pub fn new() -> Self
    where
        T: Topic,
    {
        Self::undecorated().with_decorator(DefaultMessageDecorator::new())
    }

    /// Creates a dispatcher without decorators. Message id and time of recording must come from
    /// decorators that are added, or from the headers of each dispatch.
    #[must_use]
    pub fn undecorated() -> Self
    where
        T: Topic,
    {
        Self {
            decorators: Vec::new(),
            duplicates: OnDuplicate::default(),
            topic: PhantomData,
        }
    }
}

impl<T: Topic> MessageDispatcher<T> {
    /// Adds a decorator after the existing ones.
    #[must_use]
    pub fn with_decorator(mut self, decorator: impl MessageDecorator + 'static) -> Self {
        self.decorators.push(Box::new(decorator));
        self
    }

    /// Sets what happens to a message whose id the repository already has. Default: the dispatch
    /// fails.
    #[must_use]
    pub fn on_duplicate(mut self, duplicates: OnDuplicate) -> Self {
        self.duplicates = duplicates;
        self
    }

    /// Publishes one message and returns its id.
    ///
    /// JSON has no infinite number and no NaN. serde writes them as `null`, which an `f64` cannot
    /// read back; use an `Option<f64>` where they can occur.
    ///
    /// # Errors
    ///
    /// Nothing was written in these cases:
    ///
    /// - The message cannot be serialised.
    /// - In a debug build (`debug_assertions`): the JSON that the message's `Serialize` has written
    ///   cannot be read by its `Deserialize`. Examples are an infinite `f64`, a `u128` or a map
    ///   with integer keys inside `#[serde(flatten)]` or `#[serde(untagged)]`, and a field with
    ///   `skip_serializing` that has no `default`. A release build does not check this; consumers
    ///   then fail on the message.
    /// - No decorator set a message id or a time of recording ([`Error::is_missing_header`]).
    /// - The name of a custom header is not allowed ([`Error::is_invalid_name`]).
    /// - The text of its key is not allowed ([`Error::is_invalid_name`]; see
    ///   [`MessageKey::key_text`](crate::MessageKey::key_text)).
    /// - The message id was dispatched before ([`Error::is_duplicate`]; see
    ///   [`on_duplicate`](Self::on_duplicate)).
    /// - The message is larger than the repository can store ([`Error::is_too_large`]).
    /// - Some repository could not keep the message: its version is above 2,147,483,647, its time of
    ///   recording is outside of the years 0 to 9999, or arrays and objects in its payload or headers
    ///   nest deeper than 127 levels.
    /// - The repository fails.
    pub fn dispatch<R, M>(&self, repository: &mut R, message: &M) -> Result<Uuid, Error>
    where
        R: MessageRepository + ?Sized,
        M: MessageOf<T> + ?Sized,
    {
        self.dispatch_with(repository, message, Headers::new())
    }

    /// Publishes one message with headers of its own, which the decorators complete.
    ///
    /// # Errors
    ///
    /// Those of [`dispatch`](Self::dispatch).
    pub fn dispatch_with<R, M>(
        &self,
        repository: &mut R,
        message: &M,
        headers: Headers,
    ) -> Result<Uuid, Error>
    where
        R: MessageRepository + ?Sized,
        M: MessageOf<T> + ?Sized,
    {
        let raw = self.to_raw(message, headers)?;
        self.persist(repository, std::slice::from_ref(&raw))?;
        Ok(raw.message_id)
    }

    /// Publishes messages in their order, all of them or none, with as few statements as the
    /// repository can; returns how many were new.
    ///
    /// To publish messages of different types in one batch, pass values of the topic's enum.
    ///
    /// ```
    /// use persisting_message_bus::memory::InMemoryMessageBus;
    /// use persisting_message_bus::{MessageDispatcher, Topic};
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Serialize, Deserialize)]
    /// struct OrderPlaced {}
    ///
    /// #[derive(Serialize, Deserialize)]
    /// struct OrderShipped {}
    ///
    /// #[derive(Topic)]
    /// #[topic(name = "orders")]
    /// enum Orders {
    ///     OrderPlaced(OrderPlaced),
    ///     OrderShipped(OrderShipped),
    /// }
    ///
    /// let mut bus = InMemoryMessageBus::default();
    /// let batch = [Orders::from(OrderPlaced {}), Orders::from(OrderShipped {})];
    /// assert_eq!(MessageDispatcher::<Orders>::new().dispatch_batch(&mut bus, batch)?, 2);
    /// # Ok::<(), persisting_message_bus::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`dispatch`](Self::dispatch).
    pub fn dispatch_batch<R, M>(
        &self,
        repository: &mut R,
        messages: impl IntoIterator<Item = M>,
    ) -> Result<usize, Error>
    where
        R: MessageRepository + ?Sized,
        M: MessageOf<T>,
    {
        self.persist(repository, &self.to_raw_batch(messages)?)
    }

    pub(crate) fn duplicates(&self) -> OnDuplicate {
        self.duplicates
    }

    pub(crate) fn to_raw_batch<M: MessageOf<T>>(
        &self,
        messages: impl IntoIterator<Item = M>,
    ) -> Result<Vec<RawMessage>, Error> {
        let cause = Correlation::of_dispatch();
        let messages = messages.into_iter();
        // The number that an iterator announces may be any.
        let mut batch = Vec::with_capacity(messages.size_hint().0.min(MOST_EXPECTED));
        for message in messages {
            batch.push(self.to_raw_caused_by(cause.as_ref(), &message, Headers::new())?);
        }
        Ok(batch)
    }

    fn persist<R>(&self, repository: &mut R, messages: &[RawMessage]) -> Result<usize, Error>
    where
        R: MessageRepository + ?Sized,
    {
        let begun = Instant::now();
        let persisted =
            repository.persist_dispatched(Dispatched::new(messages), self.duplicates)?;
        observe::dispatched(T::NAME, persisted, begun);
        Ok(persisted)
    }

    pub(crate) fn to_raw<M>(&self, message: &M, headers: Headers) -> Result<RawMessage, Error>
    where
        M: MessageOf<T> + ?Sized,
    {
        self.to_raw_caused_by(Correlation::of_dispatch().as_ref(), message, headers)
    }

    fn to_raw_caused_by<M>(
        &self,
        cause: Option<&Correlation>,
        message: &M,
        mut headers: Headers,
    ) -> Result<RawMessage, Error>
    where
        M: MessageOf<T> + ?Sized,
    {
        let descriptor = message.descriptor();
        headers.address(T::NAME, descriptor, message.key());
        for decorator in &self.decorators {
            decorator.decorate(&mut headers);
        }
        if let Some(cause) = cause {
            cause.decorate(&mut headers);
        }
        let (message_id, published_at) = headers.complete()?;
        let encode = |cause| Error::encode(T::NAME, descriptor.name, message_id, cause);
        let raw = RawMessage {
            message_id,
            topic: Cow::Borrowed(T::NAME),
            message_type: Cow::Borrowed(descriptor.name),
            message_version: descriptor.version,
            payload: message.to_payload().map_err(encode)?,
            headers: headers.to_json().map_err(encode)?,
            published_at,
            correlation_id: headers.correlation_id().map(str::to_owned),
            key_slot: headers.key().map_or(Slot::NONE, Slot::of),
        };
        let valid = headers.validate_key(descriptor.key);
        if let Err(invalid) = valid.and_then(|()| headers.validate()) {
            return Err(Error::unstorable_name(&raw, &invalid));
        }
        // A payload that is nested too deeply is refused when it is stored.
        if cfg!(debug_assertions) && !is_too_deep(&raw.payload) {
            read_back::<T>(&raw)?;
        }
        Ok(raw)
    }
}

/// Reads the payload as a consumer will. serde can write some payloads that it cannot read. A release
/// build does not pay for this check, because `Golden` and each debug build make it.
fn read_back<T: Topic>(message: &RawMessage) -> Result<(), Error> {
    let decoded = catch_panic(|| {
        let decoded = T::decode(&message.stored_at(Position::START));
        decoded.map(drop).map_err(Error::into_cause_of_decoding)
    });
    decoded.map_err(|cause| Error::unreadable(message, cause))
}

impl<T: Topic> Default for MessageDispatcher<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Topic> fmt::Debug for MessageDispatcher<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("MessageDispatcher")
            .field("topic", &T::NAME)
            .field("decorators", &self.decorators.len())
            .field("duplicates", &self.duplicates)
            .finish()
    }
}
