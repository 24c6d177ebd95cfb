//! The consumer: it reads a topic one page at a time, under a lease.

use std::marker::PhantomData;
use std::process;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::consume::ends::Ends;
use crate::consume::memory::Memory;
use crate::consume::own_event_set::OwnEventSet;
use crate::consume::retry_policy::RetryPolicy;
use crate::consume::settings::Settings;
use crate::consume::shared_leases::SharedLeases;
use crate::consume::topic_reader::{self, TopicReader};
use crate::message::topic::EventSet;
use crate::signals::Signals;
use crate::store::segment::Segment;

/// Handles the messages of a topic or an event set, and remembers its cursor.
///
/// The consumer holds no connection. Each call receives the bus and handles
/// [one page](Self::handle_page) or [all new messages](Self::handle_new_messages). The consumer
/// state keeps the cursor under the consumer's name. Consumers of different names are independent
/// of each other. Of two consumers with the same name, only one works at a time.
///
/// The type shows the kind of handler:
///
/// - [`external`](Self::external) handlers receive only the message, and handle it at least once.
///   After a crash, messages after the last stored cursor are handled again. The consumer stores
///   the cursor after each page, and at least once per second. So at most one second of work is
///   repeated, or one message.
/// - [`transactional`](Self::transactional) and [`transactional_pages`](Self::transactional_pages)
///   handlers receive the connection on which the cursor is stored, in one transaction for the
///   page. Their changes through that connection take effect exactly once.
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
/// assert_eq!(consumer.handle_page(&mut bus)?, 1);
/// assert_eq!(consumer.handle_page(&mut bus)?, 0);
/// drop(consumer);
/// assert_eq!(revenue, 1_250);
/// # Ok::<(), persisting_message_bus::Error>(())
/// ```
///
/// A transactional consumer:
///
#[cfg_attr(feature = "sqlite", doc = "```")]
#[cfg_attr(not(feature = "sqlite"), doc = "```ignore")]
/// use diesel::prelude::*;
/// use persisting_message_bus::sql::migrate;
/// use persisting_message_bus::{Message, MessageConsumer, MessageDispatcher, Topic};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct OrderPlaced { order: i32 }
///
/// #[derive(Topic)]
/// #[topic(name = "orders")]
/// enum Orders { OrderPlaced(OrderPlaced) }
///
/// diesel::table! { shipments (order_id) { order_id -> Integer } }
///
/// let mut connection = SqliteConnection::establish(":memory:")?;
/// migrate(&mut connection)?;
/// diesel::sql_query("CREATE TABLE shipments (order_id INTEGER)").execute(&mut connection)?;
/// let placed = (1..=3).map(|order| OrderPlaced { order });
/// MessageDispatcher::<Orders>::new().dispatch_batch(&mut connection, placed)?;
///
/// let ship = |connection: &mut SqliteConnection, message: &Message<Orders>| {
///     let Orders::OrderPlaced(placed) = message.payload();
///     let shipment = shipments::order_id.eq(placed.order);
///     diesel::insert_into(shipments::table).values(shipment).execute(connection)?;
///     Ok(())
/// };
/// let mut consumer = MessageConsumer::<Orders>::transactional("shipping", ship);
/// assert_eq!(consumer.handle_new_messages(&mut connection)?, 3);
/// assert_eq!(shipments::table.count().get_result(&mut connection), Ok(3_i64));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct MessageConsumer<S, H = ()> {
    pub(super) name: String,
    pub(super) owner: String,
    pub(super) settings: Settings,
    /// Sorted by name, so that two consumers take their leases in the same order.
    pub(super) topics: Vec<TopicReader>,
    pub(crate) handler: H,
    pub(super) skipped: u64,
    /// What this program reads.
    pub(super) event_set: OwnEventSet,
    /// The name of the source in which the cursors count, if it is another database.
    pub(super) source: Option<String>,
    /// What it remembers of its cursor, or of the cursor of its segment.
    pub(crate) memory: Memory,
    /// The segment for which it works now, if it is divided.
    pub(super) segment: Option<Segment>,
    /// Where its topics end, if that is known before a poll.
    pub(super) ends: Option<Ends>,
    /// Whether the last poll found it paused.
    pub(crate) is_paused: bool,
    /// Signals that can end the consumer in the middle of a page.
    pub(super) signals: Arc<Signals>,
    /// The leases that the heartbeat renews.
    pub(super) held: Arc<SharedLeases>,
    messages: PhantomData<fn() -> S>,
}

impl<S: EventSet, H> MessageConsumer<S, H> {
    pub(crate) fn with_handler(name: impl Into<String>, handler: H) -> Self {
        Self {
            name: name.into(),
            owner: format!("process {} {}", process::id(), Uuid::now_v7()),
            settings: Settings::default(),
            topics: topic_reader::of_event_set::<S>(),
            handler,
            skipped: 0,
            event_set: OwnEventSet::of::<S>(),
            source: None,
            memory: Memory::default(),
            segment: None,
            ends: None,
            is_paused: false,
            signals: Arc::default(),
            held: Arc::default(),
            messages: PhantomData,
        }
    }

    /// Lets the signals end a page after the current message.
    pub(crate) fn stopped_by(mut self, signals: Arc<Signals>) -> Self {
        self.signals = signals;
        self
    }

    /// Returns the signals that can end the consumer.
    pub(crate) fn signals(&self) -> &Signals {
        &self.signals
    }

    /// Returns whether the consumer must end.
    pub(crate) fn is_stopping(&self) -> bool {
        self.signals.is_stopping()
    }

    /// Returns the owner of its leases.
    pub(crate) fn owner(&self) -> &str {
        &self.owner
    }

    /// Returns the stored form of its event set.
    pub(crate) fn event_set_text(&self) -> &str {
        &self.event_set.text
    }

    /// Returns the leases that the consumer holds, and their duration.
    pub(crate) fn held_leases(&self) -> (&Arc<SharedLeases>, Duration) {
        (&self.held, self.settings.lease_duration)
    }

    /// Returns the retry policy. Sets it to `default` if the consumer has none of its own.
    pub(crate) fn retry_or(&mut self, default: RetryPolicy) -> RetryPolicy {
        *self.settings.retry.get_or_insert(default)
    }

    /// Returns the name under which the cursor and the lease are kept.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the topics and message types that it reads, for errors.
    pub(crate) fn reads(&self) -> String {
        self.event_set.record.to_string()
    }

    /// Returns the number of messages that this consumer has skipped since it was created: unknown
    /// ones with [`OnUnknown::Skip`](crate::OnUnknown::Skip), failing ones with
    /// [`FailurePolicy::Skip`](crate::FailurePolicy::Skip).
    #[must_use]
    pub fn skipped_messages(&self) -> u64 {
        self.skipped
    }
}
