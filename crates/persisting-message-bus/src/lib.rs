//! A typed, persisted message bus in the SQL database you already have.
//!
//! A *topic* is an enum of message structs. Producers dispatch messages on it inside the database
//! transaction of the change that they announce; consumers keep a cursor, hold a lease, and match
//! exhaustively.
//!
//! | to do this | use this |
//! |---|---|
//! | define a topic | [`derive(Topic)`](macro@Topic) |
//! | publish | [`MessageDispatcher`], in a transaction with the change; [`CoalescingDispatcher`], outside of one |
//! | consume | [`MessageConsumer`], on a whole topic or on an [`EventSet`](macro@EventSet) |
//! | carry messages from one place to another | [`relay`] |
//! | handle what comes from outside once | [`Inbox`] |
//! | keep consumers running | [`Runner`] |
//! | follow what caused what | [`Correlation`], [`Flow`] |
//! | see how a consumer is doing | [`ConsumerStatus`] |
//! | look after messages that failed | [`MessageFailures`] |
//! | keep messages in SQL | a Diesel connection, after `diesel::migrate` (features `sqlite`, `postgres`, `mysql`) |
//! | keep messages in memory, for tests | [`memory::InMemoryMessageBus`] |
//! | test what you have built on it | `testing::Scenario`, `testing::Golden` (feature `testing`) |
//! | write a backend | [`MessageSource`], [`MessageRepository`], [`MessageConsumerState`], [`TransactionsOn`] |
//!
//! The [README](https://docs.rs/crate/persisting-message-bus) has a complete example and the
//! table of guarantees.

mod bus;
mod clock;
mod coalescing;
mod consumer;
mod consumer_state;
mod correlation;
mod decorator;
mod derived;
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
pub mod diesel;
mod dispatcher;
mod error;
mod failures;
mod flow;
mod headers;
mod inbox;
pub mod memory;
mod message;
mod name;
mod observe;
mod position;
mod raw_message;
mod relay;
mod repository;
mod retry;
mod runner;
mod shared_text;
mod sightings;
mod status;
#[cfg(feature = "testing")]
pub mod testing;
mod topic;
mod topics;
mod transactions;

pub use bus::MessageBus;
pub use clock::{Clock, SystemClock};
pub use coalescing::{Coalescer, CoalescingDispatcher};
pub use consumer::{
    Each, External, HandlePages, HandlerError, MessageConsumer, Pages, ResetTo, Transactional,
    UnknownMessages,
};
pub use consumer_state::{Lease, LeaseRequest, MessageConsumerState, StoreCursor, StoredConsumer};
pub use correlation::Correlation;
pub use decorator::{DefaultMessageDecorator, MessageDecorator};
pub use dispatcher::MessageDispatcher;
pub use error::Error;
pub use failures::{
    FailedMessage, FailedPage, Failure, FailureState, GiveUp, MessageFailures, Parked,
};
pub use flow::{Flow, FlowMessage};
pub use headers::Headers;
pub use inbox::{Inbox, MessageInbox, Received};
pub use message::Message;
pub use name::MAX_NAME_LENGTH;
pub use position::Position;
pub use raw_message::{RawMessage, StoredMessage};
pub use relay::{AsStored, Persist, Relay, relay};
pub use repository::{
    Backlog, Duplicates, MessageRepository, MessageSource, MessageTypes, PageRequest,
};
pub use retry::Retry;
pub use runner::{Ended, Nudge, Runner, Running, Shutdown, StillRunning};
pub use sightings::Sightings;
pub use status::{ConsumerCondition, ConsumerStatus};
pub use topic::{EventSet, MessageDescriptor, MessageOf, Selection, Topic, Wanted};
pub use topics::TopicDescriptor;
pub use transactions::{Transactions, TransactionsOn};

/// ```
/// use persisting_message_bus::Topic;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct OrderPlaced {
///     total_cents: i64,
/// }
///
/// #[derive(Serialize, Deserialize)]
/// struct OrderShipped {}
///
/// #[derive(Topic)]
/// #[topic(name = "orders")]
/// enum Orders {
///     OrderPlaced(OrderPlaced),
///     #[message(name = "OrderShipped", alias = "OrderSent")]
///     Shipped(OrderShipped),
/// }
///
/// assert_eq!(Orders::NAME, "orders");
/// assert_eq!(Orders::MESSAGES[1].name, "OrderShipped");
/// ```
///
/// A message whose struct has changed:
///
/// ```
/// use persisting_message_bus::Topic;
/// use serde::{Deserialize, Serialize};
///
/// mod v1 {
///     #[derive(serde::Serialize, serde::Deserialize)]
///     pub struct OrderPlaced {
///         pub total: f64,
///     }
/// }
///
/// #[derive(Serialize, Deserialize)]
/// struct OrderPlaced {
///     total_cents: i64,
/// }
///
/// impl From<v1::OrderPlaced> for OrderPlaced {
///     fn from(placed: v1::OrderPlaced) -> Self {
///         Self { total_cents: (placed.total * 100.0).round() as i64 }
///     }
/// }
///
/// #[derive(Topic)]
/// #[topic(name = "orders")]
/// enum Orders {
///     #[message(version = 2, previous(1 = v1::OrderPlaced))]
///     OrderPlaced(OrderPlaced),
/// }
/// ```
///
pub use persisting_message_bus_derive::Topic;

/// ```
/// use persisting_message_bus::{EventSet, Topic};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct OrderPlaced {}
///
/// #[derive(Serialize, Deserialize)]
/// struct OrderCancelled {}
///
/// #[derive(Topic)]
/// #[topic(name = "orders")]
/// enum Orders {
///     OrderPlaced(OrderPlaced),
///     Cancelled(Box<OrderCancelled>),
/// }
///
/// #[derive(EventSet)]
/// #[event_set(topic = Orders)]
/// enum Cancellations {
///     Cancelled(OrderCancelled),
/// }
/// ```
///
pub use persisting_message_bus_derive::EventSet;

/// What the derives' output names. Not part of the public interface.
#[doc(hidden)]
pub mod __private {
    pub use crate::derived::*;
    pub use crate::{
        Error, EventSet, MessageDescriptor, MessageOf, Selection, StoredMessage, Topic, Wanted,
    };
}

/// Compiles and runs the README's code, and that of the pages, as part of the tests.
#[cfg(all(doctest, feature = "sqlite"))]
mod pages {
    #[doc = include_str!("../README.md")]
    struct Readme;

    #[doc = include_str!("../../../docs/choosing-a-database.md")]
    struct ChoosingADatabase;

    #[doc = include_str!("../../../docs/running-consumers.md")]
    struct RunningConsumers;

    #[doc = include_str!("../../../docs/errors.md")]
    struct Errors;

    #[doc = include_str!("../../../docs/how-fast-and-why.md")]
    struct HowFastAndWhy;
}
