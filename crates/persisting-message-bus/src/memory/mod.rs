//! Messages and consumer state in memory, with the semantics of the SQL backends: for tests.
//!
//! Every type here is a handle. Clones share their content, from any thread, and each clone can be
//! in a transaction of its own. As in SQLite, writers take turns, and readers see committed data.
//!
//! ```
//! use persisting_message_bus::memory::InMemoryMessageBus;
//! use persisting_message_bus::{Error, Position};
//! use persisting_message_bus::backend::{MessageSource, TransactionControl};
//!
//! let mut bus = InMemoryMessageBus::default();
//! bus.in_transaction(|bus| {
//!     // dispatch, change other things ...
//!     Ok::<(), Error>(())
//! })?;
//! assert_eq!(bus.current_head("orders")?, Position::START);
//! # Ok::<(), Error>(())
//! ```

pub(crate) mod bus;
pub(crate) mod consumer_state;
pub(crate) mod failures;
pub(crate) mod inbox;
pub(crate) mod repository;
mod segments;
pub(crate) mod shared;
mod state;
pub(crate) mod transactions;

pub use crate::memory::bus::InMemoryMessageBus;
pub use crate::memory::consumer_state::InMemoryMessageConsumerState;
pub use crate::memory::repository::InMemoryMessageRepository;
