//! The library from async code: the same names as at the root, for the connections of
//! [diesel-async](https://docs.rs/diesel-async/0.9). Change the `use`, and add `.await`.
//!
//! Publishing is async: a dispatch is part of the transaction of the async connection that is passed to
//! it, plain or from a pool.
//!
//! A consumer is a thread that awaits: it blocks on its connection and on the future of its handler. So
//! a handler can capture its state, its future need not be `Send`, and it is never dropped before it
//! ends, unless the runtime ends first.

pub(crate) mod blocking;
pub(crate) mod coalesce;
pub(crate) mod consumer;
pub(crate) mod dispatcher;
pub(crate) mod handler;
pub(crate) mod inbox;
pub(crate) mod migrating;
pub(crate) mod once;
#[cfg(feature = "diesel-async-0_9-deadpool")]
mod pool;
#[cfg(feature = "diesel-async-0_9-postgres")]
pub mod postgres;
pub(crate) mod repository;
pub(crate) mod runner;
pub(crate) mod running;
pub(crate) mod tables;
pub(crate) mod transaction;
mod waiting;

pub use crate::asynchronous::blocking::{AsyncBus, Blocking};
pub use crate::asynchronous::coalesce::coalescer::Coalescer;
pub use crate::asynchronous::coalesce::dispatcher::CoalescingDispatcher;
pub use crate::asynchronous::consumer::MessageConsumer;
pub use crate::asynchronous::dispatcher::MessageDispatcher;
pub use crate::asynchronous::handler::{Awaiting, HandleMessage, HandleMessageOn, HandlePageOn};
pub use crate::asynchronous::inbox::Inbox;
pub use crate::asynchronous::migrating::migrate;
pub use crate::asynchronous::repository::MessageRepository;
pub use crate::asynchronous::runner::Runner;
pub use crate::asynchronous::running::Running;
pub use crate::sql::executor::dedicated::{Dedicated, Driven, open_dedicated};
pub use crate::sql::executor::on_this_thread::OnThisThread;
