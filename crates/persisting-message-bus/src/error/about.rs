//! What an error is about, for programs.

use std::borrow::Cow;
use std::time::Duration;

use uuid::Uuid;

use crate::error::Error;
use crate::error::kind::Kind;
use crate::position::Position;

impl Error {
    /// Returns the name of the consumer that failed.
    #[must_use]
    pub fn consumer(&self) -> Option<&str> {
        self.0.consumer.as_deref()
    }

    /// Returns the name of the topic on which the operation failed.
    #[must_use]
    pub fn topic(&self) -> Option<&str> {
        match self.kind() {
            Kind::MissingHeader { topic, .. }
            | Kind::NotParked { topic, .. }
            | Kind::Duplicate { topic, .. }
            | Kind::Encode { topic, .. }
            | Kind::Unreadable { topic, .. }
            | Kind::Unstorable { topic, .. }
            | Kind::TooLarge { topic, .. }
            | Kind::BeforeReplay { topic, .. }
            | Kind::HookInterrupted { topic, .. }
            | Kind::BrokenCursor { topic, .. }
            | Kind::LeaseHeld { topic, .. }
            | Kind::LeaseLost { topic, .. } => Some(topic),
            Kind::Interrupted { at, .. } => Some(&at.topic),
            _ => self.failing_message().map(|message| message.topic),
        }
    }

    /// Returns the position of the message that the error is about.
    ///
    /// ```
    /// use persisting_message_bus::memory::InMemoryMessageBus;
    /// use persisting_message_bus::{Message, MessageConsumer, MessageDispatcher, Topic};
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Serialize, Deserialize)]
    /// struct OrderPlaced {}
    ///
    /// #[derive(Topic)]
    /// #[topic(name = "orders")]
    /// enum Orders {
    ///     OrderPlaced(OrderPlaced),
    /// }
    ///
    /// let mut bus = InMemoryMessageBus::default();
    /// let id = MessageDispatcher::<Orders>::new().dispatch(&mut bus, &OrderPlaced {})?;
    /// let failing = |_: &Message<Orders>| Err("out of stock".into());
    /// let mut consumer = MessageConsumer::<Orders>::external("mailer", failing);
    ///
    /// let error = consumer.handle_page(&mut bus).unwrap_err();
    /// assert!(error.is_handler_failure());
    /// assert_eq!(error.consumer(), Some("mailer"));
    /// assert_eq!(error.topic(), Some("orders"));
    /// assert_eq!(error.position().map(|position| position.get()), Some(1));
    /// assert_eq!(error.message_id(), Some(id));
    /// assert_eq!(error.attempts(), Some(1));
    /// # Ok::<(), persisting_message_bus::Error>(())
    /// ```
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        match self.kind() {
            Kind::NotParked { position, .. } => Some(*position),
            _ => self.failing_message().map(|message| message.position),
        }
    }

    /// Returns the id of the message that the error is about.
    #[must_use]
    pub fn message_id(&self) -> Option<Uuid> {
        match self.kind() {
            Kind::Duplicate { message_id, .. }
            | Kind::Encode { message_id, .. }
            | Kind::Unreadable { message_id, .. }
            | Kind::Unstorable { message_id, .. }
            | Kind::TooLarge { message_id, .. } => Some(*message_id),
            _ => self
                .failing_message()
                .and_then(|message| message.message_id),
        }
    }

    /// Returns how often the message that the error is about has failed, if that was recorded.
    #[must_use]
    pub fn attempts(&self) -> Option<u32> {
        self.attempt().map(|attempt| attempt.number)
    }

    /// Returns the delay before the message is attempted again. `None` if no attempt was counted,
    /// or if this attempt was the last.
    ///
    /// A [`Runner`](crate::Runner) waits by itself. A loop that calls
    /// [`handle_page`](crate::MessageConsumer::handle_page) must sleep this long.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        let attempt = self
            .attempt()
            .filter(|attempt| attempt.number < attempt.most);
        attempt.map(|attempt| attempt.wait)
    }

    /// Returns the next step, if the library knows one. It is part of the text that `{}` prints; a log that
    /// groups errors by their fact can print it apart.
    ///
    /// ```
    /// use persisting_message_bus::memory::InMemoryMessageBus;
    /// use persisting_message_bus::{MessageDispatcher, Topic};
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
    /// let orders = MessageDispatcher::<Orders>::undecorated();
    /// let error = orders.dispatch(&mut bus, &OrderPlaced {}).unwrap_err();
    /// assert!(error.is_missing_header());
    /// let hint = error.hint().unwrap_or_default();
    /// assert!(hint.starts_with("add the DefaultMessageDecorator"), "{hint}");
    /// ```
    #[must_use]
    pub fn hint(&self) -> Option<Cow<'static, str>> {
        self.kind().hint()
    }
}
