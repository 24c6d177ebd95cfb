//! Reading a topic, one page at a time, under a lease.

mod attempt;
mod caution;
mod due;
mod external;
mod failing;
mod gate;
mod hand_over;
mod handler;
mod held;
mod holding;
mod leases;
mod page;
mod pause;
mod redriven;
mod reset;
mod run;
mod search;
mod settings;
mod settling;
mod topic_reader;
mod transactional;
mod unknown;
mod unstored;

use std::marker::PhantomData;
use std::process;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

pub(crate) use self::caution::Patience;
pub use self::external::External;
pub use self::hand_over::{Each, Pages};
pub use self::handler::{HandlePages, HandlerError};
pub(crate) use self::handler::{guarded, text_of_panic};
pub(crate) use self::held::HeldLeases;
pub(crate) use self::leases::Leases;
pub use self::reset::ResetTo;
pub use self::transactional::Transactional;
pub use self::unknown::UnknownMessages;

use self::caution::Caution;
use self::gate::Pass;
use self::settings::Settings;
use self::topic_reader::TopicReader;
use self::unstored::Unstored;
use crate::runner::Signals;
use crate::{EventSet, Message, Retry};

/// Handles the messages of a topic or an event set, and remembers how far it is.
///
/// It holds no connection: the bus is handed in at each call, which handles
/// [one page](Self::handle_new_messages) or [all there is](Self::catch_up). What is
/// remembered, the cursor, stands in the consumer state under the consumer's name; so two consumers
/// of different names are independent of each other, and of two with the same name only one works
/// at a time.
///
/// The kind of handler shows in the type:
///
/// - [`external`](Self::external) handlers get the message only. A message is handled at least
///   once: after a crash, what was handled since the cursor was stored last is handled again. It is stored
///   after each page, and at least once a second: so that is a second's work at most, or one message.
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
    settings: Settings,
    /// By name, so that two consumers take their leases in the same order.
    topics: Vec<TopicReader>,
    handler: H,
    skipped: u64,
    /// Where attempts were interrupted.
    caution: Caution,
    /// Effects that are final, and whose cursors could not be stored.
    unstored: Option<Unstored>,
    /// The right to work alone, from one connection to the next.
    turn: Option<Pass>,
    /// Who may ask it to end before a page does.
    signals: Arc<Signals>,
    /// Where others see which leases to prolong.
    held: Arc<HeldLeases>,
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
            settings: Settings::default(),
            topics: topic_reader::of_event_set::<S>(),
            handler,
            skipped: 0,
            caution: Caution::default(),
            unstored: None,
            turn: None,
            signals: Arc::default(),
            held: Arc::default(),
            event_set: PhantomData,
        }
    }

    /// Lets a page end when the signals say so, behind the message at hand.
    pub(crate) fn stopped_by(mut self, signals: Arc<Signals>) -> Self {
        self.signals = signals;
        self
    }

    /// The leases that it holds, and how long they last.
    pub(crate) fn held_leases(&self) -> (&Arc<HeldLeases>, Duration) {
        (&self.held, self.settings.lease_duration)
    }

    /// Sets how many messages a page has at most; 500 without this. Zero is taken as 1.
    ///
    /// Whatever this says, a topic's part of a page ends behind the message with which its payloads
    /// and headers reach 16 MiB.
    #[must_use]
    pub fn page_size(mut self, messages: usize) -> Self {
        self.settings.page_size = messages.max(1);
        self
    }

    /// Sets how long the lease lasts, in milliseconds (finer is cut off); 30 seconds without this.
    ///
    /// After a crash, it is how long the next holder has to wait. An external handler has to be done
    /// with one message within two thirds of it, unless a [`Runner`](crate::Runner) prolongs it. Of a
    /// transactional one, the page has to be read in that time: its transaction then keeps others
    /// from taking the lease. Zero lets another holder in at any time.
    #[must_use]
    pub fn lease_duration(mut self, duration: Duration) -> Self {
        self.settings.lease_duration = duration;
        self
    }

    /// Sets what happens to messages that the event set does not know; they fail without this.
    #[must_use]
    pub fn unknown_messages(mut self, unknown: UnknownMessages) -> Self {
        self.settings.unknown = unknown;
        self
    }

    /// Sets how often a message that fails is attempted, and what becomes of it then: 8 times, and the
    /// consumer stops in front of it, unless this or its [`Runner`](crate::Runner) says something else.
    ///
    /// Attempts are counted in the consumer state, so that they outlast the process. The time between
    /// them is kept by a [`Runner`](crate::Runner); whoever calls
    /// [`handle_new_messages`](Self::handle_new_messages) attempts again by calling it again.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.settings.retry = Some(retry);
        self
    }

    /// How failures are repeated; those of `default` where the consumer does not say it itself.
    pub(crate) fn retry_or(&mut self, default: Retry) -> Retry {
        *self.settings.retry.get_or_insert(default)
    }

    /// The name under which cursor and lease are kept.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many messages this consumer passed over since it was made: unknown ones with
    /// [`UnknownMessages::Skip`], failing ones with [`GiveUp::Skip`](crate::GiveUp::Skip).
    #[must_use]
    pub fn skipped_messages(&self) -> u64 {
        self.skipped
    }
}
