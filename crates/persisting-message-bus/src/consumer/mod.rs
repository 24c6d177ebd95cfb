//! Reading a topic, one page at a time, under a lease.

mod external;
mod handler;
mod page;
mod reset;
mod search;
mod transactional;

use std::marker::PhantomData;
use std::process;
use std::time::Duration;

use uuid::Uuid;

pub use self::external::External;
pub use self::handler::{HandlePages, HandlerError};
pub use self::reset::ResetTo;
pub use self::transactional::{Each, Pages, Transactional};

use self::handler::PageOutcome;
use self::page::TopicReader;
use crate::{
    Error, EventSet, Lease, LeaseRequest, Message, MessageConsumerState, MessageSource, name,
};

/// Handles the messages of a topic or an event set, and remembers how far it is.
///
/// It holds no connection: the bus is handed in at each call, which handles one page. What is
/// remembered, the cursor, stands in the consumer state under the consumer's name; so two consumers
/// of different names are independent of each other, and of two with the same name only one works
/// at a time.
///
/// The kind of handler shows in the type:
///
/// - [`external`](Self::external) handlers get the message only. A message is handled at least
///   once: after a crash, up to one page is handled again.
/// - [`transactional`](Self::transactional) and [`transactional_pages`](Self::transactional_pages)
///   handlers get the connection on which the cursor is stored, in one transaction for the page.
///   Their changes through that connection take effect exactly once.
///
/// ```
/// use persisting_message_bus::memory::InMemoryMessageBus;
/// use persisting_message_bus::{Message, MessageConsumer, MessageDispatcher, Topic};
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
/// MessageDispatcher::<Orders>::new().dispatch(&mut bus, &OrderPlaced { total_cents: 1_250 })?;
///
/// let mut revenue = 0;
/// let mut consumer = MessageConsumer::<Orders>::external("revenue", |message: &Message<Orders>| {
///     match message.payload() {
///         Orders::OrderPlaced(placed) => revenue += placed.total_cents,
///     }
///     Ok(())
/// });
/// assert_eq!(consumer.handle_new_messages(&mut bus)?, 1);
/// assert_eq!(consumer.handle_new_messages(&mut bus)?, 0);
/// drop(consumer);
/// assert_eq!(revenue, 1_250);
/// # Ok::<(), persisting_message_bus::Error>(())
/// ```
#[derive(Debug)]
pub struct MessageConsumer<S, H = ()> {
    name: String,
    owner: String,
    lease_duration: Duration,
    page_size: usize,
    topics: Vec<TopicReader>,
    handler: H,
    event_set: PhantomData<fn() -> S>,
}

impl<S> MessageConsumer<S> {
    /// A consumer that calls `handler` with one message after the other.
    ///
    /// The message id is the key by which the handler can tell that it has seen a message before.
    pub fn external<F>(name: impl Into<String>, handler: F) -> MessageConsumer<S, External<F>>
    where
        S: EventSet,
        F: FnMut(&Message<S>) -> Result<(), HandlerError>,
    {
        MessageConsumer::with_handler(name, External::new(handler))
    }

    /// A consumer that calls `handler` with one message after the other, in one transaction for the
    /// page in which the cursor is stored too.
    ///
    /// When the handler fails on a message, the transaction is rolled back and made again up to
    /// that message, so that the ones before it still commit: whatever else than changes through
    /// the connection the handler does can happen more than once.
    pub fn transactional<C, F>(
        name: impl Into<String>,
        handler: F,
    ) -> MessageConsumer<S, Transactional<C, Each<F>>>
    where
        S: EventSet,
        C: ?Sized,
        F: FnMut(&mut C, &Message<S>) -> Result<(), HandlerError>,
    {
        MessageConsumer::with_handler(name, Transactional::new(Each(handler)))
    }

    /// As [`transactional`](Self::transactional), but `handler` gets the whole page at once, so
    /// that it can make one statement of many messages.
    ///
    /// When it fails, it is called again with halves of the page until the failing message is
    /// found, and the ones before it still commit.
    pub fn transactional_pages<C, F>(
        name: impl Into<String>,
        handler: F,
    ) -> MessageConsumer<S, Transactional<C, Pages<F>>>
    where
        S: EventSet,
        C: ?Sized,
        F: FnMut(&mut C, &[Message<S>]) -> Result<(), HandlerError>,
    {
        MessageConsumer::with_handler(name, Transactional::new(Pages(handler)))
    }
}

impl<S: EventSet, H> MessageConsumer<S, H> {
    fn with_handler(name: impl Into<String>, handler: H) -> Self {
        Self {
            name: name.into(),
            owner: format!("process {} {}", process::id(), Uuid::now_v7()),
            lease_duration: Duration::from_secs(30),
            page_size: 500,
            topics: S::SELECTIONS.iter().map(TopicReader::new).collect(),
            handler,
            event_set: PhantomData,
        }
    }

    /// Sets how many messages a page has at most; 500 without this. Zero is taken as 1.
    #[must_use]
    pub fn page_size(mut self, messages: usize) -> Self {
        self.page_size = messages.max(1);
        self
    }

    /// Sets how long the lease lasts, in milliseconds (finer is cut off); 30 seconds without this.
    ///
    /// It has to be longer than handling a page takes. After a crash, it is how long the next
    /// holder has to wait. Zero lets another holder in at any time.
    #[must_use]
    pub fn lease_duration(mut self, duration: Duration) -> Self {
        self.lease_duration = duration;
        self
    }

    /// The name under which cursor and lease are kept.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Handles the next page of messages and returns how many were handled: zero when there are no
    /// new ones.
    ///
    /// It takes the lease, and gives it back before it returns.
    ///
    /// # Errors
    ///
    /// - [`Error::is_locked`]: another holder of the same name is at work.
    /// - [`Error::is_handler_failure`]: the handler failed. The messages before are handled and
    ///   the cursor stands behind them.
    /// - [`Error::is_bad_message`]: a message has an unknown type or does not decode. Likewise.
    /// - [`Error::is_lease_lost`]: handling took longer than the lease, and another holder came.
    ///   Nothing was stored.
    /// - [`Error::is_broken_cursor`]: the stored cursor cannot be right. Nothing was handled.
    /// - When the bus cannot be read or written.
    pub fn handle_new_messages<B>(&mut self, bus: &mut B) -> Result<usize, Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
        H: HandlePages<S, B>,
    {
        let mut handled = 0;
        for topic in 0..self.topics.len() {
            handled += self
                .handle_page(bus, topic)
                .map_err(|error| error.of_consumer(&self.name))?;
        }
        Ok(handled)
    }

    fn handle_page<B>(&mut self, bus: &mut B, topic: usize) -> Result<usize, Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
        H: HandlePages<S, B>,
    {
        let reader = &self.topics[topic];
        let lease = self.acquire(bus, reader.topic)?;
        let outcome = match reader.read(bus, lease.cursor, self.page_size) {
            Ok(page) => self
                .handler
                .handle_page(bus, &lease, self.lease_duration, page),
            Err(error) => PageOutcome::failed(error),
        };
        let released = match outcome.lease_released {
            true => Ok(()),
            false => bus.release(&lease),
        };
        match (outcome.failure, released) {
            (None, Ok(())) => Ok(outcome.handled),
            (Some(error), Ok(())) | (None, Err(error)) => Err(error),
            (Some(error), Err(second)) => Err(error.followed_by(second)),
        }
    }

    fn acquire<B>(&self, bus: &mut B, topic: &str) -> Result<Lease, Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        name::validate("consumer", &self.name)?;
        bus.acquire(&LeaseRequest {
            consumer: &self.name,
            topic,
            owner: &self.owner,
            duration: self.lease_duration,
        })
    }
}
