//! The settings of a consumer.

use std::time::Duration;

use crate::consume::consumer::MessageConsumer;
use crate::consume::on_added::OnAdded;
use crate::consume::retry_policy::RetryPolicy;
use crate::consume::start_at::StartAt;
use crate::consume::unknown::OnUnknown;
use crate::message::topic::EventSet;

impl<S: EventSet, H> MessageConsumer<S, H> {
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
    /// [`handle_new_messages`](Self::handle_new_messages) and in a [`Runner`](crate::Runner).
    /// Default: 200 ms. Zero polls again after each page.
    ///
    /// Only a poll finds a pause, and messages that came since the last poll. A longer slice takes
    /// the lease less often. A page that takes longer is finished first.
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
}
