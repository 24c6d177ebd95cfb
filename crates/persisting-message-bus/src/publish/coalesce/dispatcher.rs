use std::time::Instant;

use uuid::Uuid;

use crate::error::Error;
use crate::message::headers::Headers;
use crate::message::raw::RawMessage;
use crate::message::topic::{MessageOf, Topic};
use crate::observe;
use crate::publish::coalesce::coalescer::Coalescer;
use crate::publish::dispatcher::MessageDispatcher;

/// Publishes messages on the topic `T`, each in a commit shared with concurrent calls: see
/// [`Coalescer`].
///
/// It has the decorators and the duplicate rule of the dispatcher that it is [made
/// from](MessageDispatcher::coalescing).
///
/// ```
/// use persisting_message_bus::memory::InMemoryMessageBus;
/// use persisting_message_bus::{Coalescer, MessageDispatcher, Topic};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct OrderPlaced {}
///
/// #[derive(Topic)]
/// #[topic(name = "orders")]
/// enum Orders { OrderPlaced(OrderPlaced) }
///
/// let bus = InMemoryMessageBus::default();
/// let connection = bus.clone();
/// let coalescer = Coalescer::new(move || Ok::<_, std::io::Error>(connection.clone()));
/// let orders = MessageDispatcher::<Orders>::new().coalescing(&coalescer);
///
/// let id = orders.dispatch(&OrderPlaced {})?; // committed when the call returns
/// assert_eq!(bus.messages.messages()[0].message_id, id);
/// # Ok::<(), persisting_message_bus::Error>(())
/// ```
#[derive(Debug)]
pub struct CoalescingDispatcher<T: Topic> {
    dispatcher: MessageDispatcher<T>,
    coalescer: Coalescer,
}

impl<T: Topic> CoalescingDispatcher<T> {
    /// Publishes one message and returns its id. The message is committed when the call returns.
    ///
    /// # Errors
    ///
    /// Nothing was written in these cases:
    ///
    /// - The message is refused for a reason that [`MessageDispatcher::dispatch`] lists.
    /// - It waited longer than [`Coalescer::queue_timeout`].
    /// - The coalescer is closed.
    ///
    /// If the connection is lost during the commit, it is unknown whether the message was written.
    pub fn dispatch<M>(&self, message: &M) -> Result<Uuid, Error>
    where
        M: MessageOf<T> + ?Sized,
    {
        self.dispatch_with(message, Headers::new())
    }

    /// Publishes one message with headers of its own, which the decorators complete.
    ///
    /// # Errors
    ///
    /// Those of [`dispatch`](Self::dispatch).
    pub fn dispatch_with<M>(&self, message: &M, headers: Headers) -> Result<Uuid, Error>
    where
        M: MessageOf<T> + ?Sized,
    {
        let raw = self.dispatcher.to_raw(message, headers)?;
        let message_id = raw.message_id;
        self.persist(vec![raw])?;
        Ok(message_id)
    }

    /// Publishes messages in their order, all of them or none; returns how many were new.
    ///
    /// # Errors
    ///
    /// Those of [`dispatch`](Self::dispatch).
    pub fn dispatch_batch<M>(&self, messages: impl IntoIterator<Item = M>) -> Result<usize, Error>
    where
        M: MessageOf<T>,
    {
        self.persist(self.dispatcher.to_raw_batch(messages)?)
    }

    fn persist(&self, messages: Vec<RawMessage>) -> Result<usize, Error> {
        let begun = Instant::now();
        let duplicates = self.dispatcher.duplicates();
        let persisted = self.coalescer.persist(messages, duplicates)?;
        observe::dispatched(T::NAME, persisted, begun);
        Ok(persisted)
    }
}

impl<T: Topic> MessageDispatcher<T> {
    /// Converts this dispatcher to one for messages outside of transactions, which share their
    /// commits.
    #[must_use]
    pub fn coalescing(self, coalescer: &Coalescer) -> CoalescingDispatcher<T> {
        CoalescingDispatcher {
            dispatcher: self,
            coalescer: coalescer.clone(),
        }
    }
}
