use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::time::Instant;

use uuid::Uuid;

use crate::{
    Correlation, DefaultMessageDecorator, Duplicates, Error, Headers, MessageDecorator, MessageOf,
    MessageRepository, RawMessage, Topic, observe,
};

/// Publishes messages on the topic `T`.
///
/// It holds no connection: the repository is handed in at each call. A Diesel connection that is in
/// a transaction makes the messages part of it; they are visible if and only if it commits.
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
    duplicates: Duplicates,
    topic: PhantomData<fn(T)>,
}

impl<T> MessageDispatcher<T> {
    /// With the [`DefaultMessageDecorator`].
    #[must_use]
    pub fn new() -> Self
    where
        T: Topic,
    {
        Self::undecorated().with_decorator(DefaultMessageDecorator::new())
    }

    /// Without any decorator: message id and time of recording have to come from the decorators
    /// that are added, or from the headers of each dispatch.
    #[must_use]
    pub fn undecorated() -> Self
    where
        T: Topic,
    {
        Self {
            decorators: Vec::new(),
            duplicates: Duplicates::default(),
            topic: PhantomData,
        }
    }
}

impl<T: Topic> MessageDispatcher<T> {
    /// Adds a decorator behind the ones that are there.
    #[must_use]
    pub fn with_decorator(mut self, decorator: impl MessageDecorator + 'static) -> Self {
        self.decorators.push(Box::new(decorator));
        self
    }

    /// Sets what happens to a message whose id the repository already has; without this, it fails.
    #[must_use]
    pub fn with_duplicates(mut self, duplicates: Duplicates) -> Self {
        self.duplicates = duplicates;
        self
    }

    /// Publishes one message and returns its id.
    ///
    /// JSON knows no infinite number and no NaN: serde writes them as `null`, which an `f64` does not
    /// read back. Use an `Option<f64>` where they can occur. Nor is a payload read back that nests
    /// deeper than 128 levels.
    ///
    /// # Errors
    ///
    /// Nothing was written when the message cannot be serialised, no decorator set a message id or
    /// a time of recording, a custom header's name is not allowed, the message id was dispatched
    /// before (see [`with_duplicates`](Self::with_duplicates)), the message is larger than the repository
    /// takes ([`Error::is_too_large`]), or the repository fails.
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
    /// As [`dispatch`](Self::dispatch).
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
    /// Messages of different types go in one batch as values of the topic's enum.
    ///
    /// # Errors
    ///
    /// As [`dispatch`](Self::dispatch).
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

    pub(crate) fn duplicates(&self) -> Duplicates {
        self.duplicates
    }

    pub(crate) fn to_raw_batch<M: MessageOf<T>>(
        &self,
        messages: impl IntoIterator<Item = M>,
    ) -> Result<Vec<RawMessage>, Error> {
        let messages = messages.into_iter();
        messages
            .map(|message| self.to_raw(&message, Headers::new()))
            .collect()
    }

    fn persist<R>(&self, repository: &mut R, messages: &[RawMessage]) -> Result<usize, Error>
    where
        R: MessageRepository + ?Sized,
    {
        let begun = Instant::now();
        let persisted = repository.persist(messages, self.duplicates)?;
        observe::dispatched(T::NAME, persisted, begun);
        Ok(persisted)
    }

    pub(crate) fn to_raw<M>(&self, message: &M, mut headers: Headers) -> Result<RawMessage, Error>
    where
        M: MessageOf<T> + ?Sized,
    {
        let descriptor = message.descriptor();
        headers.address(T::NAME, descriptor);
        for decorator in &self.decorators {
            decorator.decorate(&mut headers);
        }
        if let Some(correlation) = Correlation::current() {
            correlation.decorate(&mut headers);
        }
        let (message_id, published_at) = headers.complete()?;
        let encode = |cause| Error::encode(T::NAME, descriptor.name, message_id, cause);
        Ok(RawMessage {
            message_id,
            topic: Cow::Borrowed(T::NAME),
            message_type: Cow::Borrowed(descriptor.name),
            message_version: descriptor.version,
            payload: message.to_payload().map_err(encode)?,
            headers: headers.to_json().map_err(encode)?,
            published_at,
            correlation_id: headers.correlation_id().map(str::to_owned),
        })
    }
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
