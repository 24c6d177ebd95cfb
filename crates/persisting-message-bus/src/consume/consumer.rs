//! The consumer: it reads a topic one page at a time, under a lease.

use std::collections::BTreeSet;
use std::marker::PhantomData;
use std::process;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::consume::shared_leases::SharedLeases;
use crate::consume::unknown::OnUnknown;

use crate::consume::added::OnAdded;
use crate::consume::caution::Caution;
use crate::consume::gate::Pass;
use crate::consume::identity::OwnEventSet;
use crate::consume::reset::StartAt;
use crate::consume::retry_policy::RetryPolicy;
use crate::consume::settings::Settings;
use crate::consume::topic_reader::{self, TopicReader};
use crate::consume::unstored::Unstored;
use crate::consume::waiting::Waiting;
use crate::message::topic::EventSet;
use crate::position::Position;
use crate::signals::Signals;
use crate::store::event_set::Types;

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
    pub(super) handler: H,
    pub(super) skipped: u64,
    /// What this program reads.
    pub(super) event_set: OwnEventSet,
    /// The name of the source in which the cursors count, if it is another database.
    pub(super) source: Option<String>,
    /// Topics that only a newer program of this name reads.
    pub(super) unread_topics: Vec<(String, Types)>,
    /// The unknown message before which the consumer waits.
    pub(super) waiting: Option<Waiting>,
    /// Redriven messages that this program does not know: the index of the topic, and the position.
    pub(super) unknown_redriven: BTreeSet<(usize, Position)>,
    /// The place where attempts were interrupted.
    pub(super) caution: Caution,
    /// Final effects whose cursors could not be stored.
    pub(super) unstored: Option<Unstored>,
    /// The right to work alone, kept from one connection to the next.
    pub(super) turn: Option<Pass>,
    /// Signals that can end the consumer in the middle of a page.
    pub(super) signals: Arc<Signals>,
    /// The leases that the heartbeat renews.
    pub(super) held: Arc<SharedLeases>,
    messages: PhantomData<fn() -> S>,
}

impl<S: EventSet, H> MessageConsumer<S, H> {
    pub(super) fn with_handler(name: impl Into<String>, handler: H) -> Self {
        Self {
            name: name.into(),
            owner: format!("process {} {}", process::id(), Uuid::now_v7()),
            settings: Settings::default(),
            topics: topic_reader::of_event_set::<S>(),
            handler,
            skipped: 0,
            event_set: OwnEventSet::of::<S>(),
            source: None,
            unread_topics: Vec::new(),
            waiting: None,
            unknown_redriven: BTreeSet::new(),
            caution: Caution::default(),
            unstored: None,
            turn: None,
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

    /// Returns the leases that the consumer holds, and their duration.
    pub(crate) fn held_leases(&self) -> (&Arc<SharedLeases>, Duration) {
        (&self.held, self.settings.lease_duration)
    }

    /// Sets the maximum number of messages in a page. Default: 500. Zero means 1.
    ///
    /// Independently of this setting, a topic's part of a page ends after the message with which
    /// its payloads and headers reach 16 MiB.
    #[must_use]
    pub fn page_size(mut self, messages: usize) -> Self {
        self.settings.page_size = messages.max(1);
        self
    }

    /// Sets how long pages follow each other under one lease, in
    /// [`handle_new_messages`](Self::handle_new_messages) and in a [`Runner`](crate::Runner). Default: 200 ms.
    /// Zero polls again after each page.
    ///
    /// Only a poll finds a pause, and messages that came since the last poll. A longer slice takes the lease
    /// less often. A page that takes longer is finished first.
    #[must_use]
    pub fn time_slice(mut self, duration: Duration) -> Self {
        self.settings.time_slice = duration;
        self
    }

    /// Sets the duration of the lease, in milliseconds (a finer part is cut off). Default: 30
    /// seconds. Zero lets another holder take the lease at any time.
    ///
    /// After a crash, the next holder waits this long. An external handler must finish each message
    /// within two thirds of this duration, unless a [`Runner`](crate::Runner) renews the lease. A
    /// transactional consumer must read the page within this duration. After that, its transaction
    /// keeps other holders from taking the lease.
    #[must_use]
    pub fn lease_duration(mut self, duration: Duration) -> Self {
        self.settings.lease_duration = duration;
        self
    }

    /// Sets what happens to messages that the event set does not know. Default:
    /// [`OnUnknown::Wait`].
    ///
    /// ```
    /// use persisting_message_bus::memory::InMemoryMessageBus;
    /// use persisting_message_bus::{Message, MessageConsumer, MessageDispatcher, OnUnknown, Topic};
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
    /// enum Orders { OrderPlaced(OrderPlaced) }
    ///
    /// #[derive(Topic)]
    /// #[topic(name = "orders")]
    /// enum NewerOrders { OrderShipped(OrderShipped) } // in a newer program
    ///
    /// let mut bus = InMemoryMessageBus::default();
    /// MessageDispatcher::<NewerOrders>::new().dispatch(&mut bus, &OrderShipped {})?;
    ///
    /// let mail = |_: &Message<Orders>| Ok(());
    /// let mut consumer =
    ///     MessageConsumer::<Orders>::external("mailer", mail).on_unknown(OnUnknown::Skip);
    /// assert_eq!(consumer.handle_new_messages(&mut bus)?, 0);
    /// assert_eq!(consumer.skipped_messages(), 1);
    /// # Ok::<(), persisting_message_bus::Error>(())
    /// ```
    #[must_use]
    pub fn on_unknown(mut self, unknown: OnUnknown) -> Self {
        self.settings.unknown = unknown;
        self
    }

    /// Sets how long the consumer waits before a message that its program does not know, before it
    /// applies the failure policy ([`RetryPolicy::on_exhausted`]). Default: without a limit. Zero
    /// does not wait.
    ///
    /// The time counts from the moment at which a consumer of this name first met the message. It
    /// should be longer than a deployment takes.
    #[must_use]
    pub fn unknown_timeout(mut self, timeout: Duration) -> Self {
        self.settings.unknown_timeout = Some(timeout);
        self
    }

    /// Sets where the consumer starts if it has never run. Default: [`StartAt::Start`]. This has no
    /// effect once a consumer of this name has a cursor.
    ///
    /// The place is determined at the first poll. If the consumer does not start at the start, its
    /// hook `before_replay` is not called.
    ///
    /// ```
    /// use persisting_message_bus::memory::InMemoryMessageBus;
    /// use persisting_message_bus::{Message, MessageConsumer, MessageDispatcher, StartAt, Topic};
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Serialize, Deserialize)]
    /// struct OrderPlaced {}
    ///
    /// #[derive(Topic)]
    /// #[topic(name = "orders")]
    /// enum Orders { OrderPlaced(OrderPlaced) }
    ///
    /// let mut bus = InMemoryMessageBus::default();
    /// let orders = MessageDispatcher::<Orders>::new();
    /// orders.dispatch(&mut bus, &OrderPlaced {})?;
    /// let mail = |_: &Message<Orders>| Ok(());
    /// let mut mailer = MessageConsumer::<Orders>::external("mailer", mail).start_at(StartAt::End);
    /// assert_eq!(mailer.handle_new_messages(&mut bus)?, 0);
    /// orders.dispatch(&mut bus, &OrderPlaced {})?;
    /// assert_eq!(mailer.handle_new_messages(&mut bus)?, 1);
    /// # Ok::<(), persisting_message_bus::Error>(())
    /// ```
    #[must_use]
    pub fn start_at(mut self, start_at: StartAt) -> Self {
        self.settings.start_at = (start_at != StartAt::Start).then_some(start_at);
        self
    }

    /// Sets what happens to earlier messages of types that are added to the event set of a consumer
    /// that has run. Default: none, so that a consumer whose event set has grown fails
    /// ([`Error::is_event_set_conflict`](crate::Error::is_event_set_conflict)).
    ///
    /// Older programs of the same name can run at the same time. They continue up to the first
    /// message of an added type.
    ///
    /// ```
    /// use persisting_message_bus::memory::InMemoryMessageBus;
    /// use persisting_message_bus::{EventSet, MessageConsumer, MessageDispatcher, OnAdded, Topic};
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Serialize, Deserialize)]
    /// struct Placed {}
    ///
    /// #[derive(Serialize, Deserialize)]
    /// struct Cancelled {}
    ///
    /// #[derive(Topic)]
    /// #[topic(name = "orders")]
    /// enum Orders { Placed(Placed), Cancelled(Cancelled) }
    ///
    /// #[derive(EventSet)]
    /// #[event_set(topic = Orders)]
    /// enum Mails { Placed(Placed) }
    ///
    /// #[derive(EventSet)]
    /// #[event_set(topic = Orders)]
    /// enum MoreMails { Placed(Placed), Cancelled(Cancelled) } // in a newer program
    ///
    /// let mut bus = InMemoryMessageBus::default();
    /// let orders = MessageDispatcher::<Orders>::new();
    /// orders.dispatch(&mut bus, &Cancelled {})?;
    /// orders.dispatch(&mut bus, &Placed {})?;
    /// assert_eq!(
    ///     MessageConsumer::<Mails>::external("mailer", |_| Ok(())).handle_new_messages(&mut bus)?,
    ///     1
    /// );
    ///
    /// let newer = || MessageConsumer::<MoreMails>::external("mailer", |_| Ok(()));
    /// assert!(newer().handle_new_messages(&mut bus).unwrap_err().is_event_set_conflict());
    /// assert_eq!(newer().on_added(OnAdded::Replay).handle_new_messages(&mut bus)?, 1);
    /// # Ok::<(), persisting_message_bus::Error>(())
    /// ```
    #[must_use]
    pub fn on_added(mut self, added: OnAdded) -> Self {
        self.settings.on_added = Some(added);
        self
    }

    /// Sets how often a failing message is attempted, and what follows the last attempt. Default:
    /// the policy of the [`Runner`](crate::Runner), or else 8 attempts, after which the consumer
    /// stops before the message.
    ///
    /// The consumer state counts the attempts, so that they outlast the process. A
    /// [`Runner`](crate::Runner) waits between attempts. If you call
    /// [`handle_page`](Self::handle_page) yourself, each call attempts the message again.
    ///
    /// ```
    /// use persisting_message_bus::memory::InMemoryMessageBus;
    /// use persisting_message_bus::prelude::*;
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Serialize, Deserialize)]
    /// struct OrderPlaced {}
    ///
    /// #[derive(Topic)]
    /// #[topic(name = "orders")]
    /// enum Orders { OrderPlaced(OrderPlaced) }
    ///
    /// let mut bus = InMemoryMessageBus::default();
    /// MessageDispatcher::<Orders>::new().dispatch(&mut bus, &OrderPlaced {})?;
    ///
    /// let failing = |_: &Message<Orders>| Err("the mail server refused the message".into());
    /// let mut consumer = MessageConsumer::<Orders>::external("mailer", failing)
    ///     .retry(RetryPolicy::default().max_attempts(2));
    /// let first = consumer.handle_page(&mut bus).unwrap_err();
    /// assert!(first.retry_after().is_some());
    /// let last = consumer.handle_page(&mut bus).unwrap_err();
    /// assert_eq!((last.attempts(), last.retry_after()), (Some(2), None));
    /// # Ok::<(), persisting_message_bus::Error>(())
    /// ```
    #[must_use]
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.settings.retry = Some(retry);
        self
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
    /// ones with [`OnUnknown::Skip`], failing ones with
    /// [`FailurePolicy::Skip`](crate::FailurePolicy::Skip).
    #[must_use]
    pub fn skipped_messages(&self) -> u64 {
        self.skipped
    }
}
