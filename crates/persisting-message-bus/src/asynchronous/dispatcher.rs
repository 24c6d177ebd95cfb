use std::fmt;
use std::time::Instant;

use uuid::Uuid;

use crate::asynchronous::repository::MessageRepository;
use crate::error::Error;
use crate::message::headers::Headers;
use crate::message::raw::RawMessage;
use crate::message::storable::Dispatched;
use crate::message::topic::{MessageOf, Topic};
use crate::observe;
use crate::publish::decorator::MessageDecorator;
use crate::publish::dispatcher::MessageDispatcher as SyncDispatcher;
use crate::store::repository::OnDuplicate;

/// Publishes messages on the topic `T` from async code.
///
/// It is [`MessageDispatcher`](crate::MessageDispatcher) for the connections of diesel-async. It holds no
/// connection: the caller passes one to each call, and the messages are part of the transaction that is
/// open on it. They are visible if and only if it commits.
///
/// ```
/// use persisting_message_bus::Topic;
/// use persisting_message_bus::asynchronous::MessageDispatcher;
/// use persisting_message_bus::memory::InMemoryMessageBus;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct OrderPlaced {
///     total_cents: i64,
/// }
///
/// #[derive(Topic)]
/// #[topic(name = "orders")]
/// enum Orders {
///     OrderPlaced(OrderPlaced),
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), persisting_message_bus::Error> {
/// let mut bus = InMemoryMessageBus::default(); // or a connection of diesel-async
/// let orders = MessageDispatcher::<Orders>::new();
/// orders.dispatch(&mut bus, &OrderPlaced { total_cents: 1_250 }).await?;
/// # Ok(())
/// # }
/// ```
///
/// # Cancellation
///
/// The message is serialised, and its headers are taken, when the function is called; the statements
/// run when the future is awaited. If the future is dropped before it is done, it is unknown whether
/// the message was written. What is unknown must not be committed:
///
/// - In a transaction of the caller, roll it back, or drop the connection. A pool closes a connection
///   whose transaction was not ended; on a plain one, diesel-async leaves the transaction open.
/// - Outside of a transaction, a large batch has a transaction of its own. If it was not ended, the
///   connection is marked as broken: Diesel runs nothing on it any more, and a pool closes it.
///
/// Spawn a task (`tokio::spawn`) for what must not be dropped when a request ends early.
pub struct MessageDispatcher<T>(SyncDispatcher<T>);

impl<T: Topic> MessageDispatcher<T> {
    /// Creates a dispatcher with the [`DefaultMessageDecorator`](crate::DefaultMessageDecorator).
    #[must_use]
    pub fn new() -> Self {
        Self(SyncDispatcher::new())
    }

    /// Creates a dispatcher without decorators: see
    /// [`MessageDispatcher::undecorated`](crate::MessageDispatcher::undecorated).
    #[must_use]
    pub fn undecorated() -> Self {
        Self(SyncDispatcher::undecorated())
    }

    /// Adds a decorator after the existing ones.
    #[must_use]
    pub fn with_decorator(self, decorator: impl MessageDecorator + 'static) -> Self {
        Self(self.0.with_decorator(decorator))
    }

    /// Sets what happens to a message whose id the repository already has. Default: the dispatch
    /// fails.
    #[must_use]
    pub fn on_duplicate(self, duplicates: OnDuplicate) -> Self {
        Self(self.0.on_duplicate(duplicates))
    }

    /// Publishes one message and returns its id.
    ///
    /// # Errors
    ///
    /// Those of [`MessageDispatcher::dispatch`](crate::MessageDispatcher::dispatch).
    pub fn dispatch<'a, R, M>(
        &self,
        repository: &'a mut R,
        message: &M,
    ) -> impl Future<Output = Result<Uuid, Error>> + Send + use<'a, R, M, T>
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
    pub fn dispatch_with<'a, R, M>(
        &self,
        repository: &'a mut R,
        message: &M,
        headers: Headers,
    ) -> impl Future<Output = Result<Uuid, Error>> + Send + use<'a, R, M, T>
    where
        R: MessageRepository + ?Sized,
        M: MessageOf<T> + ?Sized,
    {
        // Before the future, so that the future needs no message that is `Send`, and knows its cause.
        let (raw, duplicates) = self.to_raw(message, headers);
        async move {
            let raw = raw?;
            persist::<T, R>(repository, std::slice::from_ref(&raw), duplicates).await?;
            Ok(raw.message_id)
        }
    }

    /// Publishes messages in their order, all of them or none, with as few statements as the database
    /// can; returns how many were new.
    ///
    /// To publish messages of different types in one batch, pass values of the topic's enum.
    ///
    /// # Errors
    ///
    /// Those of [`dispatch`](Self::dispatch).
    pub fn dispatch_batch<'a, R, M, I>(
        &self,
        repository: &'a mut R,
        messages: I,
    ) -> impl Future<Output = Result<usize, Error>> + Send + use<'a, R, M, I, T>
    where
        R: MessageRepository + ?Sized,
        M: MessageOf<T>,
        I: IntoIterator<Item = M>,
    {
        let (raw, duplicates) = self.to_raw_batch(messages);
        async move { persist::<T, R>(repository, &raw?, duplicates).await }
    }
}

impl<T: Topic> MessageDispatcher<T> {
    /// Returns the message as it is stored, and the rule for duplicates.
    pub(super) fn to_raw<M>(
        &self,
        message: &M,
        headers: Headers,
    ) -> (Result<RawMessage, Error>, OnDuplicate)
    where
        M: MessageOf<T> + ?Sized,
    {
        (self.0.to_raw(message, headers), self.0.duplicates())
    }

    /// Returns the messages as they are stored, and the rule for duplicates.
    pub(super) fn to_raw_batch<M: MessageOf<T>>(
        &self,
        messages: impl IntoIterator<Item = M>,
    ) -> (Result<Vec<RawMessage>, Error>, OnDuplicate) {
        (self.0.to_raw_batch(messages), self.0.duplicates())
    }
}

async fn persist<T, R>(
    repository: &mut R,
    messages: &[RawMessage],
    duplicates: OnDuplicate,
) -> Result<usize, Error>
where
    T: Topic,
    R: MessageRepository + ?Sized,
{
    let begun = Instant::now();
    let messages = Dispatched::new(messages);
    let persisted = repository.persist_dispatched(messages, duplicates).await?;
    observe::dispatched(T::NAME, persisted, begun);
    Ok(persisted)
}

/// Dispatches from async code, with the same decorators.
impl<T> From<SyncDispatcher<T>> for MessageDispatcher<T> {
    fn from(dispatcher: SyncDispatcher<T>) -> Self {
        Self(dispatcher)
    }
}

impl<T: Topic> Default for MessageDispatcher<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Topic> fmt::Debug for MessageDispatcher<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}
