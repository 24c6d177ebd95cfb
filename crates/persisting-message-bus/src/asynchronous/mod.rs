//! The library from async code: the same names as at the root, for the connections of
//! [diesel-async](https://docs.rs/diesel-async/0.9).
//!
//! Publishing is async: a dispatch is part of the transaction of the async connection that is passed to
//! it, plain or from a pool.

pub(crate) mod coalesce;
pub(crate) mod dispatcher;
pub(crate) mod inbox;
pub(crate) mod once;
pub(crate) mod repository;
pub(crate) mod tables;
pub(crate) mod transaction;

pub use crate::asynchronous::coalesce::coalescer::Coalescer;
pub use crate::asynchronous::coalesce::dispatcher::CoalescingDispatcher;
pub use crate::asynchronous::dispatcher::MessageDispatcher;
pub use crate::asynchronous::inbox::Inbox;
pub use crate::asynchronous::repository::MessageRepository;
