//! Messages and consumer state in memory, with the semantics of the SQL backends: for tests.
//!
//! Everything here is a handle: clones share their content, from any thread, and each clone can be
//! in a transaction of its own. As in SQLite, writers take turns and readers see what is committed.
//!
//! ```
//! use persisting_message_bus::memory::InMemoryMessageBus;
//! use persisting_message_bus::{Error, MessageSource, Position, Transactions};
//!
//! let mut bus = InMemoryMessageBus::default();
//! bus.in_transaction(|bus| {
//!     // dispatch, change other things ...
//!     Ok::<(), Error>(())
//! })?;
//! assert_eq!(bus.safe_head("orders")?, Position::START);
//! # Ok::<(), Error>(())
//! ```

mod consumer_state;
mod failures;
mod inbox;
mod repository;
mod shared;
mod transactions;

pub use self::consumer_state::InMemoryMessageConsumerState;
pub use self::repository::InMemoryMessageRepository;

use crate::MessageBus;

/// Messages and consumer state in memory, as one bus whose changes can be rolled back together.
pub type InMemoryMessageBus = MessageBus<InMemoryMessageRepository, InMemoryMessageConsumerState>;
