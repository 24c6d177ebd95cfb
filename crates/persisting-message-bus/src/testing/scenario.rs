use std::fmt;
use std::ops::ControlFlow;

use serde_json::Value;

use super::difference;
use crate::memory::InMemoryMessageBus;
use crate::{
    Error, EventSet, HandlePages, MessageConsumer, MessageConsumerState, MessageDispatcher,
    MessageOf, MessageRepository, MessageTypes, PageRequest, Position, Topic,
};

/// Given messages on a bus, when a consumer handles them, then something holds.
///
/// ```
/// use persisting_message_bus::memory::InMemoryMessageBus;
/// use persisting_message_bus::testing::Scenario;
/// use persisting_message_bus::{Message, MessageConsumer, MessageDispatcher, Topic};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct OrderPlaced {
///     order: u32,
/// }
///
/// #[derive(Topic)]
/// #[topic(name = "orders")]
/// enum Orders {
///     OrderPlaced(OrderPlaced),
/// }
///
/// #[derive(Serialize, Deserialize)]
/// struct InvoiceSent {
///     order: u32,
/// }
///
/// #[derive(Topic)]
/// #[topic(name = "invoices")]
/// enum Invoices {
///     InvoiceSent(InvoiceSent),
/// }
///
/// let invoices = MessageDispatcher::<Invoices>::new();
/// let biller = MessageConsumer::<Orders>::transactional(
///     "biller",
///     |bus: &mut InMemoryMessageBus, message: &Message<Orders>| {
///         let Orders::OrderPlaced(placed) = message.payload();
///         invoices.dispatch(bus, &InvoiceSent { order: placed.order })?;
///         Ok(())
///     },
/// );
///
/// Scenario::new()
///     .given([OrderPlaced { order: 1 }, OrderPlaced { order: 2 }].map(Orders::from))
///     .when(biller)
///     .then_dispatched([InvoiceSent { order: 1 }, InvoiceSent { order: 2 }].map(Invoices::from));
/// ```
#[derive(Debug)]
pub struct Scenario<B = InMemoryMessageBus> {
    bus: B,
    /// The last position that was given; `None` before a consumer ran.
    given_up_to: Option<Position>,
    failure: Option<Error>,
}

impl Scenario {
    /// On an empty bus in memory.
    #[must_use]
    pub fn new() -> Self {
        Self::on(InMemoryMessageBus::default())
    }
}

impl Default for Scenario {
    fn default() -> Self {
        Self::new()
    }
}

impl<B: MessageRepository + MessageConsumerState> Scenario<B> {
    /// On a bus of your own: a connection to a database for tests, which may have messages already.
    #[must_use]
    pub fn on(bus: B) -> Self {
        Self {
            bus,
            given_up_to: None,
            failure: None,
        }
    }

    /// Puts messages on the topic `T`: values of its enum, or of one of its messages.
    ///
    /// # Panics
    ///
    /// When they cannot be dispatched, or a consumer ran already.
    #[must_use = "a scenario says something only with its `then`"]
    pub fn given<T, M>(mut self, messages: impl IntoIterator<Item = M>) -> Self
    where
        T: Topic,
        M: MessageOf<T>,
    {
        assert!(
            self.given_up_to.is_none(),
            "the consumer ran already: what is given comes before `.when(...)`"
        );
        let dispatcher = MessageDispatcher::<T>::new();
        if let Err(error) = dispatcher.dispatch_batch(&mut self.bus, messages) {
            panic!("the given messages cannot be dispatched: {error:#}");
        }
        self
    }

    /// Lets the consumer handle everything that is there, until it has or fails. There may be several
    /// of them, one after the other.
    ///
    /// # Panics
    ///
    /// When the bus cannot be read, or an earlier consumer failed.
    #[must_use = "a scenario says something only with its `then`"]
    pub fn when<S, H>(mut self, mut consumer: MessageConsumer<S, H>) -> Self
    where
        S: EventSet,
        H: HandlePages<S, B>,
    {
        self.expect_no_failure();
        let last = match self.bus.last_position() {
            Ok(position) => position,
            Err(error) => panic!("the bus cannot be read: {error:#}"),
        };
        self.given_up_to.get_or_insert(last);
        self.failure = loop {
            match consumer.handle_new_messages(&mut self.bus) {
                Ok(0) => break None,
                Ok(_) => {}
                Err(error) => break Some(error),
            }
        };
        self
    }

    /// Exactly these messages were dispatched on the topic `T` meanwhile, in this order.
    ///
    /// # Panics
    ///
    /// When they were not, with the difference; or when the consumer failed, or none ran.
    pub fn then_dispatched<T, M>(mut self, expected: impl IntoIterator<Item = M>) -> Self
    where
        T: Topic,
        M: MessageOf<T>,
    {
        let given_up_to = self.expect_to_have_run();
        let written = |message: M| match message.to_payload() {
            Ok(payload) => on_paper(message.descriptor().name, &payload),
            Err(error) => panic!("an expected message cannot be written: {error}"),
        };
        let expected: String = expected.into_iter().map(written).collect();
        let found = self.dispatched(T::NAME, given_up_to);
        assert!(
            expected == found,
            "other messages were dispatched on topic \"{}\" than expected:\n{}",
            T::NAME,
            difference(&expected, &found)
        );
        self
    }

    /// Looks at the state that is there now: on the bus, or in the database behind it.
    ///
    /// # Panics
    ///
    /// When the consumer failed, or none ran.
    pub fn then(mut self, look: impl FnOnce(&mut B)) -> Self {
        self.expect_to_have_run();
        look(&mut self.bus);
        self
    }

    /// The consumer failed, with this error.
    ///
    /// # Panics
    ///
    /// When it did not fail.
    pub fn then_failed(mut self, look: impl FnOnce(&Error)) -> Self {
        match self.failure.take() {
            Some(error) => look(&error),
            None => panic!("the consumer did not fail"),
        }
        self
    }

    fn expect_to_have_run(&self) -> Position {
        self.expect_no_failure();
        match self.given_up_to {
            Some(position) => position,
            None => panic!("no consumer ran: add `.when(...)`"),
        }
    }

    fn expect_no_failure(&self) {
        if let Some(error) = &self.failure {
            panic!("the consumer failed: {error:#}");
        }
    }

    /// What was dispatched on a topic while the consumer ran.
    fn dispatched(&mut self, topic: &str, after: Position) -> String {
        let mut found = String::new();
        let read = self.bus.last_position().and_then(|last| {
            let request = PageRequest {
                topic,
                message_types: MessageTypes::All,
                after,
                up_to: last,
                limit: usize::MAX,
            };
            self.bus.read_page(&request, &mut |message| {
                found.push_str(&on_paper(message.message_type, message.payload));
                ControlFlow::Continue(())
            })
        });
        match read {
            Ok(()) => found,
            Err(error) => panic!("the bus cannot be read: {error:#}"),
        }
    }
}

/// A message as people read it.
fn on_paper(message_type: &str, payload: &str) -> String {
    struct Payload<'a>(&'a str);

    impl fmt::Display for Payload<'_> {
        fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            match serde_json::from_str::<Value>(self.0) {
                Ok(value) => write!(formatter, "{value:#}"),
                Err(_) => formatter.write_str(self.0),
            }
        }
    }

    format!("{message_type} {}\n", Payload(payload))
}
