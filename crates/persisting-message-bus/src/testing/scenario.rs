use std::fmt;
use std::ops::ControlFlow;

use serde_json::Value;

use crate::consume::consumer::MessageConsumer;
use crate::consume::handler::PageHandler;
use crate::error::Error;
use crate::memory::InMemoryMessageBus;
use crate::message::topic::{EventSet, MessageOf, Topic};
use crate::position::Position;
use crate::publish::dispatcher::MessageDispatcher;
use crate::store::consumer_state::MessageConsumerState;
use crate::store::page_request::{PageRequest, TypeFilter};
use crate::store::part::Part;
use crate::store::repository::MessageRepository;
use crate::store::source::MessageSource;
use crate::testing::difference::difference;

/// A test in three steps: given messages on a bus, when a consumer handles them, then a condition
/// holds.
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
    /// Starts a scenario on an empty bus in memory.
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

impl<B: MessageRepository + MessageSource + MessageConsumerState> Scenario<B> {
    /// Starts a scenario on a bus of your own, for example a connection to a test database. The bus
    /// can already contain messages.
    ///
    /// To keep tests apart, give each a transaction that is never committed, or a database:
    ///
    /// - SQLite and PostgreSQL: `connection.begin_test_transaction()`. The consumers see the messages
    ///   of that transaction, and everything is rolled back at the end. A consumer of an earlier test
    ///   has left no cursor.
    /// - MySQL and MariaDB: a database for each test. A consumer that reads in a transaction fails
    ///   there, because it would not see concurrent commits.
    ///
    #[cfg_attr(feature = "sqlite", doc = "```")]
    #[cfg_attr(not(feature = "sqlite"), doc = "```ignore")]
    /// use diesel::{Connection, SqliteConnection};
    /// use persisting_message_bus::testing::Scenario;
    /// use persisting_message_bus::{Message, MessageConsumer, Topic};
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Serialize, Deserialize)]
    /// struct OrderPlaced {}
    ///
    /// #[derive(Topic)]
    /// #[topic(name = "orders")]
    /// enum Orders { OrderPlaced(OrderPlaced) }
    ///
    /// let mut connection = SqliteConnection::establish(":memory:")?;
    /// persisting_message_bus::sql::migrate(&mut connection)?;
    /// connection.begin_test_transaction()?;
    ///
    /// let mut handled = 0;
    /// let count = |_: &Message<Orders>| {
    ///     handled += 1;
    ///     Ok(())
    /// };
    /// let consumer = MessageConsumer::<Orders>::external("counter", count);
    /// Scenario::on(connection).given::<Orders, _>([OrderPlaced {}]).when(consumer).then(|_| ());
    /// assert_eq!(handled, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
    /// If they cannot be dispatched, or if a consumer ran already.
    #[must_use = "a scenario checks nothing before its `then`"]
    pub fn given<T, M>(mut self, messages: impl IntoIterator<Item = M>) -> Self
    where
        T: Topic,
        M: MessageOf<T>,
    {
        assert!(
            self.given_up_to.is_none(),
            "the consumer ran already: call `.given(...)` before `.when(...)`"
        );
        let dispatcher = MessageDispatcher::<T>::new();
        if let Err(error) = dispatcher.dispatch_batch(&mut self.bus, messages) {
            panic!("the given messages cannot be dispatched: {error:#}");
        }
        self
    }

    /// Runs the consumer until it has handled all messages or fails. A scenario can run several
    /// consumers, one after the other.
    ///
    /// # Panics
    ///
    /// If the bus cannot be read, or if an earlier consumer failed.
    #[must_use = "a scenario checks nothing before its `then`"]
    pub fn when<S, H>(mut self, mut consumer: MessageConsumer<S, H>) -> Self
    where
        S: EventSet,
        H: PageHandler<S, B>,
    {
        self.expect_no_failure();
        let last = match self.bus.last_position() {
            Ok(position) => position,
            Err(error) => panic!("the bus cannot be read: {error:#}"),
        };
        self.given_up_to.get_or_insert(last);
        self.failure = loop {
            match consumer.handle_page(&mut self.bus) {
                Ok(0) => break None,
                Ok(_) => {}
                Err(error) => break Some(error),
            }
        };
        self
    }

    /// Checks that exactly these messages were dispatched on the topic `T` while the consumers ran,
    /// in this order.
    ///
    /// # Panics
    ///
    /// If they were not; the panic shows the difference. Also if the consumer failed, or if none
    /// ran.
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
            "the messages dispatched on topic \"{}\" differ from the expected ones:\n{}",
            T::NAME,
            difference(&expected, &found)
        );
        self
    }

    /// Checks the present state: on the bus, or in its database.
    ///
    /// # Panics
    ///
    /// If the consumer failed, or if none ran.
    pub fn then(mut self, look: impl FnOnce(&mut B)) -> Self {
        self.expect_to_have_run();
        look(&mut self.bus);
        self
    }

    /// Checks that the consumer failed, and passes the error to `look`.
    ///
    /// # Panics
    ///
    /// If it did not fail.
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

    /// Returns the messages that were dispatched on a topic while the consumer ran, as text.
    fn dispatched(&mut self, topic: &str, after: Position) -> String {
        let mut found = String::new();
        let read = self.bus.last_position().and_then(|last| {
            let request = PageRequest {
                topic,
                part: Part::Whole,
                message_types: TypeFilter::All,
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
            Ok(_) => found,
            Err(error) => panic!("the bus cannot be read: {error:#}"),
        }
    }
}

/// Returns a message as readable text.
fn on_paper(message_type: &str, payload: &str) -> String {
    struct Payload<'a>(&'a str);

    impl fmt::Display for Payload<'_> {
        fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            match serde_json::from_str::<Value>(self.0) {
                Ok(mut value) => {
                    value.sort_all_objects();
                    write!(formatter, "{value:#}")
                }
                Err(_) => formatter.write_str(self.0),
            }
        }
    }

    format!("{message_type} {}\n", Payload(payload))
}
