use std::time::Instant;

use uuid::Uuid;

use super::Coalescer;
use crate::{Error, Headers, MessageDispatcher, MessageOf, RawMessage, Topic, observe};

/// Publishes messages on the topic `T`, each in a commit that it shares with what others dispatch at the
/// same time: see [`Coalescer`].
///
/// It has the decorators and the rule for duplicates of the dispatcher that it is
/// [made of](MessageDispatcher::coalescing).
#[derive(Debug)]
pub struct CoalescingDispatcher<T: Topic> {
    dispatcher: MessageDispatcher<T>,
    coalescer: Coalescer,
}

impl<T: Topic> CoalescingDispatcher<T> {
    /// Publishes one message and returns its id. When it returns, the message is committed.
    ///
    /// # Errors
    ///
    /// Nothing was written when the message is refused, as [`MessageDispatcher::dispatch`] has it; when it
    /// had to wait for too long ([`Coalescer::longest_wait`]); or when the coalescer is closed. When the
    /// connection is lost during the commit, nobody knows whether the message was written.
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
    /// As [`dispatch`](Self::dispatch).
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
    /// As [`dispatch`](Self::dispatch).
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
    /// This dispatcher for messages that are not part of a transaction, which share their commits.
    #[must_use]
    pub fn coalescing(self, coalescer: &Coalescer) -> CoalescingDispatcher<T> {
        CoalescingDispatcher {
            dispatcher: self,
            coalescer: coalescer.clone(),
        }
    }
}
