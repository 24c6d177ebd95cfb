//! A typed, persisted message bus in the SQL database you already have.
//!
//! A *topic* is an enum of message structs. Producers dispatch messages on it inside the database
//! transaction of the change that the messages announce. Consumers keep a cursor, hold a lease, and
//! match exhaustively.
//!
//! | to do this | use this |
//! |---|---|
//! | define a topic | [`derive(Topic)`](macro@Topic) |
//! | publish | [`MessageDispatcher`], in the transaction of the change; [`CoalescingDispatcher`], outside of a transaction |
//! | publish through sqlx or another driver | [`MessageDispatcher::statement`] |
//! | consume | [`MessageConsumer`], on a whole topic or on an [`EventSet`](macro@EventSet) |
//! | copy messages to another repository | [`relay`] |
//! | handle each message from outside once | [`Inbox`] |
//! | keep consumers running | [`Runner`] |
//! | do this with `await` | the same names in `asynchronous` (features `diesel-async-0_9-sqlite`, `-postgres`, `-mysql`) |
//! | publish through another driver, or from another language | `MessageDispatcher::statement`, `message_bus_publish` in the database |
//! | trace causes and effects | [`Correlation`], [`Flow`](operate::Flow) |
//! | read the status of a consumer | [`ConsumerStatus`](operate::ConsumerStatus) |
//! | manage failed messages | [`MessageFailures`](operate::MessageFailures) |
//! | store messages in SQL | a Diesel connection, after `sql::migrate` (features `sqlite`, `postgres`, `mysql`) |
//! | store messages in memory, for tests | [`memory::InMemoryMessageBus`] |
//! | test topics and consumers | `testing::Scenario`, `testing::Golden` (feature `testing`) |
//! | write a backend | [`MessageSource`](backend::MessageSource), [`MessageRepository`](backend::MessageRepository), [`MessageConsumerState`](backend::MessageConsumerState), [`TransactionControlOn`](backend::TransactionControlOn) |
//!
//! The [`guide`] has the pages of the manual. A program, with the feature `sqlite`:
//!
#![cfg_attr(feature = "sqlite", doc = "```")]
#![cfg_attr(not(feature = "sqlite"), doc = "```ignore")]
//! use diesel::{Connection, SqliteConnection};
//! use persisting_message_bus::sql::{migrate, sqlite::Settings};
//! use persisting_message_bus::{EventSet, Message, MessageConsumer, MessageDispatcher, Topic};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! struct OrderPlaced { order: u32, total_cents: i64 }
//!
//! #[derive(Serialize, Deserialize)]
//! struct OrderShipped { order: u32 }
//!
//! #[derive(Serialize, Deserialize)]
//! struct OrderCancelled { order: u32, refund_cents: i64 }
//!
//! #[derive(Topic)]
//! #[topic(name = "orders")]
//! enum Orders {
//!     OrderPlaced(OrderPlaced),                            // message type "OrderPlaced"
//!     #[message(name = "OrderShipped", alias = "OrderSent")]
//!     Shipped(OrderShipped),
//!     Cancelled(Box<OrderCancelled>),
//! }
//!
//! #[derive(EventSet)]
//! #[event_set(topic = Orders)]                             // each payload must be on this topic
//! enum Revenue {
//!     OrderPlaced(OrderPlaced),
//!     Cancelled(OrderCancelled),
//! }
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let mut connection = SqliteConnection::establish(":memory:")?;
//!     Settings::default().apply(&mut connection)?;         // WAL, a busy timeout, foreign keys
//!     migrate(&mut connection)?;                           // creates missing tables of the library
//!
//!     let orders = MessageDispatcher::<Orders>::new();
//!     connection.immediate_transaction(|connection| {
//!         // ... write the order itself with Diesel ...
//!         orders.dispatch(connection, &OrderPlaced { order: 1, total_cents: 12_50 })
//!     })?;
//!
//!     let mut revenue = 0;
//!     let mut consumer =
//!         MessageConsumer::<Revenue>::external("revenue", |message: &Message<Revenue>| {
//!             match message.payload() {                    // must be exhaustive
//!                 Revenue::OrderPlaced(placed) => revenue += placed.total_cents,
//!                 Revenue::Cancelled(cancelled) => revenue -= cancelled.refund_cents,
//!             }
//!             Ok(())
//!         });
//!     consumer.handle_new_messages(&mut connection)?;
//!     drop(consumer);                                      // ends the closure's borrow of `revenue`
//!     assert_eq!(revenue, 12_50);
//!     Ok(())
//! }
//! ```
#![cfg_attr(
    not(all(feature = "sqlite", feature = "postgres", feature = "r2d2")),
    allow(rustdoc::broken_intra_doc_links)
)]

#[cfg(all(
    feature = "diesel-async-0_9",
    any(
        feature = "sqlite",
        feature = "postgres_backend",
        feature = "mysql_backend"
    )
))]
pub mod asynchronous;
pub mod backend;
mod backoff;
mod bounded;
mod bridge;
mod classify;
mod consume;
mod error;
mod locks;
pub mod memory;
mod message;
mod observe;
pub mod operate;
mod panics;
mod position;
pub mod prelude;
mod publish;
mod run;
mod signals;
#[cfg(any(
    feature = "sqlite",
    feature = "postgres_backend",
    feature = "mysql_backend"
))]
pub mod sql;
mod store;
#[cfg(feature = "testing")]
pub mod testing;

pub use crate::backoff::Backoff;
pub use crate::bridge::bus::MessageBus;
pub use crate::bridge::inbox::Inbox;
pub use crate::bridge::relay::relay;
pub use crate::consume::consumer::MessageConsumer;
pub use crate::consume::on_added::OnAdded;
pub use crate::consume::retry_policy::RetryPolicy;
pub use crate::consume::segments::parallel::ParallelConsumer;
pub use crate::consume::start_at::StartAt;
pub use crate::consume::unknown::OnUnknown;
pub use crate::error::Error;
pub use crate::message::headers::Headers;
pub use crate::message::key::{Keyed, MessageKey, UnnamedKeyOf};
pub use crate::message::topic::{EventSet, Topic};
pub use crate::message::typed::Message;
pub use crate::position::Position;
pub use crate::publish::coalesce::coalescer::Coalescer;
pub use crate::publish::coalesce::dispatcher::CoalescingDispatcher;
pub use crate::publish::correlation::Correlation;
pub use crate::publish::decorator::{DefaultMessageDecorator, MessageDecorator};
pub use crate::publish::dispatcher::MessageDispatcher;
pub use crate::run::Runner;
pub use crate::signals::Waker;
pub use crate::store::failures::FailurePolicy;
pub use crate::store::inbox::InboxKey;
pub use crate::store::repository::OnDuplicate;

/// The kinds of handlers, which appear in the type of a consumer.
pub mod handler {
    pub use crate::bridge::relay::{AsStored, Persist, Relay};
    pub use crate::consume::errors::HandlerError;
    pub use crate::consume::external::External;
    pub use crate::consume::hand_over::{PerMessage, PerPage};
    pub use crate::consume::handler::PageHandler;
    pub use crate::consume::handler_result::HandlerResult;
    pub use crate::consume::transactional::Transactional;
}

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
/// A topic with a key, which the messages of an order have in different places:
///
/// ```
/// use persisting_message_bus::Topic;
/// use persisting_message_bus::backend::MessageOf;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct OrderPlaced {
///     order_id: u64,
/// }
///
/// #[derive(Serialize, Deserialize)]
/// struct OrderShipped {
///     order: Order,
/// }
///
/// #[derive(Serialize, Deserialize)]
/// struct Order {
///     id: u64,
/// }
///
/// #[derive(Serialize, Deserialize)]
/// struct NewsletterSent {
///     about: Option<Order>,
/// }
///
/// fn order_of(sent: &NewsletterSent) -> Option<u64> {
///     sent.about.as_ref().map(|order| order.id)
/// }
///
/// #[derive(Topic)]
/// #[topic(name = "orders", key = order_id)]
/// enum Orders {
///     OrderPlaced(OrderPlaced),
///     #[message(key = order.id)]
///     OrderShipped(OrderShipped),
///     #[message(key = fn order_of)]
///     NewsletterSent(NewsletterSent),
/// }
///
/// assert_eq!(OrderPlaced { order_id: 7 }.key().as_deref(), Some("7"));
/// assert_eq!(OrderShipped { order: Order { id: 7 } }.key().as_deref(), Some("7"));
/// assert_eq!(NewsletterSent { about: None }.key(), None);
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
/// A topic that has retired the message type `CouponUsed`, of which old messages are still stored:
///
/// ```
/// use persisting_message_bus::memory::InMemoryMessageBus;
/// use persisting_message_bus::{Message, MessageConsumer, MessageDispatcher, Topic};
/// use serde::{Deserialize, Serialize};
///
/// # mod before {
/// #     #[derive(serde::Serialize, serde::Deserialize)]
/// #     pub struct CouponUsed {}
/// #     #[derive(persisting_message_bus::Topic)]
/// #     #[topic(name = "orders")]
/// #     pub enum Orders { CouponUsed(CouponUsed) }
/// # }
/// #[derive(Serialize, Deserialize)]
/// struct OrderPlaced {}
///
/// #[derive(Topic)]
/// #[topic(name = "orders", retired = "CouponUsed")]
/// enum Orders {
///     OrderPlaced(OrderPlaced),
/// }
///
/// let mut bus = InMemoryMessageBus::default();
/// # MessageDispatcher::<before::Orders>::new().dispatch(&mut bus, &before::CouponUsed {})?;
/// MessageDispatcher::<Orders>::new().dispatch(&mut bus, &OrderPlaced {})?;
/// assert_eq!(bus.messages.messages().len(), 2); // the first one is a `CouponUsed`
///
/// let mut mailer = MessageConsumer::external("mailer", |_: &Message<Orders>| Ok(()));
/// assert_eq!(mailer.handle_new_messages(&mut bus)?, 1);
/// # Ok::<(), persisting_message_bus::Error>(())
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

/// ```
/// use persisting_message_bus::{Keyed, MessageKey, Topic};
/// use persisting_message_bus::backend::MessageOf;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize, MessageKey)]
/// struct OrderId(u64);
///
/// #[derive(Serialize, Deserialize)]
/// struct OrderPlaced {
///     order_id: OrderId,
/// }
///
/// #[derive(Topic)]
/// #[topic(name = "orders", key = order_id)]
/// enum Orders {
///     OrderPlaced(OrderPlaced),
/// }
///
/// let placed = OrderPlaced { order_id: OrderId(7) };
/// assert_eq!(placed.key().as_deref(), Some("7"));
/// ```
///
pub use persisting_message_bus_derive::MessageKey;

/// The connection to the program's tracing.
pub mod tracing {
    pub use crate::observe::trace::{TraceContext, TraceContextIsSet, set_trace_context};
}

/// The names that the code of the derives uses. Not part of the public interface.
#[doc(hidden)]
pub mod __private {
    pub use crate::error::Error;
    pub use crate::message::derived::*;
    pub use crate::message::derived_keys::*;
    pub use crate::message::key::{Keyed, MessageKey, UnnamedKeyOf};
    pub use crate::message::raw::StoredMessage;
    pub use crate::message::topic::{
        EventSet, MessageDescriptor, MessageOf, Topic, TopicFilter, WantedMessages,
    };
}

#[cfg(all(
    feature = "sqlite",
    feature = "postgres",
    feature = "r2d2",
    any(doc, doctest)
))]
pub mod guide;

/// Compiles and runs the code of the README, as part of the tests.
#[cfg(all(doctest, feature = "sqlite", feature = "postgres", feature = "r2d2"))]
#[doc = include_str!("../README.md")]
struct Readme;
