//! The names that most programs use: `use persisting_message_bus::prelude::*;`.
//!
//! ```
//! use persisting_message_bus::memory::InMemoryMessageBus;
//! use persisting_message_bus::prelude::*;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! struct OrderPlaced {}
//!
//! #[derive(Topic)]
//! #[topic(name = "orders")]
//! enum Orders {
//!     OrderPlaced(OrderPlaced),
//! }
//!
//! let mut bus = InMemoryMessageBus::default();
//! MessageDispatcher::<Orders>::new().dispatch(&mut bus, &OrderPlaced {})?;
//! let mut consumer = MessageConsumer::external("mailer", |_: &Message<Orders>| Ok(()));
//! assert_eq!(consumer.handle_new_messages(&mut bus)?, 1);
//! # Ok::<(), persisting_message_bus::Error>(())
//! ```

pub use crate::handler::HandlerError;
pub use crate::{
    Backoff, EventSet, FailurePolicy, Headers, Message, MessageConsumer, MessageDispatcher,
    Position, RetryPolicy, Runner, Topic,
};
