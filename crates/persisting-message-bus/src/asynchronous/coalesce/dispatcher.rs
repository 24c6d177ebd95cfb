use std::time::Instant;

use uuid::Uuid;

use crate::asynchronous::coalesce::coalescer::Coalescer;
use crate::asynchronous::dispatcher::MessageDispatcher;
use crate::error::Error;
use crate::message::headers::Headers;
use crate::message::raw::RawMessage;
use crate::message::topic::{MessageOf, Topic};
use crate::observe;
use crate::store::repository::OnDuplicate;

/// Publishes messages on the topic `T`, each in a commit shared with concurrent dispatches: see
/// [`Coalescer`].
///
/// It has the decorators and the duplicate rule of the dispatcher that it is [made
/// from](MessageDispatcher::coalescing). If the future of a dispatch is dropped while its messages wait,
/// nothing is written. If they are on their way to the database, they are written all the same.
///
#[cfg_attr(feature = "diesel-async-0_9-postgres", doc = "```no_run")]
#[cfg_attr(not(feature = "diesel-async-0_9-postgres"), doc = "```ignore")]
/// # use diesel_async_0_9 as diesel_async;
/// use diesel_async::{AsyncConnection, AsyncPgConnection};
/// use persisting_message_bus::Topic;
/// use persisting_message_bus::asynchronous::{Coalescer, MessageDispatcher};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct OrderPlaced {}
///
/// #[derive(Topic)]
/// #[topic(name = "orders")]
/// enum Orders { OrderPlaced(OrderPlaced) }
///
/// # async fn place() -> Result<(), persisting_message_bus::Error> {
/// let coalescer = Coalescer::new(|| AsyncPgConnection::establish("postgres://..."));
/// let orders = MessageDispatcher::<Orders>::new().coalescing(&coalescer);
/// orders.dispatch(&OrderPlaced {}).await?; // committed when the future is done
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct CoalescingDispatcher<T: Topic> {
    dispatcher: MessageDispatcher<T>,
    coalescer: Coalescer,
}

impl<T: Topic> CoalescingDispatcher<T> {
    /// Publishes one message and returns its id. The message is committed when the future is done.
    ///
    /// # Errors
    ///
    /// Those of [`CoalescingDispatcher::dispatch`](crate::CoalescingDispatcher::dispatch), and if the
    /// runtime ends while the message is written.
    ///
    /// # Panics
    ///
    /// When the future is awaited outside of a tokio runtime, or in one without timers (`enable_time`).
    pub fn dispatch<M>(
        &self,
        message: &M,
    ) -> impl Future<Output = Result<Uuid, Error>> + Send + use<'_, T, M>
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
    pub fn dispatch_with<M>(
        &self,
        message: &M,
        headers: Headers,
    ) -> impl Future<Output = Result<Uuid, Error>> + Send + use<'_, T, M>
    where
        M: MessageOf<T> + ?Sized,
    {
        let (raw, duplicates) = self.dispatcher.to_raw(message, headers);
        let coalescer = self.coalescer.clone();
        async move {
            let raw = raw?;
            let message_id = raw.message_id;
            persist::<T>(&coalescer, vec![raw], duplicates).await?;
            Ok(message_id)
        }
    }

    /// Publishes messages in their order, all of them or none; returns how many were new.
    ///
    /// # Errors
    ///
    /// Those of [`dispatch`](Self::dispatch).
    pub fn dispatch_batch<M, I>(
        &self,
        messages: I,
    ) -> impl Future<Output = Result<usize, Error>> + Send + use<'_, T, M, I>
    where
        M: MessageOf<T>,
        I: IntoIterator<Item = M>,
    {
        let (raw, duplicates) = self.dispatcher.to_raw_batch(messages);
        let coalescer = self.coalescer.clone();
        async move { persist::<T>(&coalescer, raw?, duplicates).await }
    }
}

async fn persist<T: Topic>(
    coalescer: &Coalescer,
    messages: Vec<RawMessage>,
    duplicates: OnDuplicate,
) -> Result<usize, Error> {
    let begun = Instant::now();
    let persisted = coalescer.persist(messages, duplicates).await?;
    observe::dispatched(T::NAME, persisted, begun);
    Ok(persisted)
}

impl<T: Topic> MessageDispatcher<T> {
    /// Converts this dispatcher to one for messages outside of transactions, which share their commits.
    #[must_use]
    pub fn coalescing(self, coalescer: &Coalescer) -> CoalescingDispatcher<T> {
        CoalescingDispatcher {
            dispatcher: self,
            coalescer: coalescer.clone(),
        }
    }
}
