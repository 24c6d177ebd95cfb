//! Notifications of PostgreSQL, in tasks that sleep until one arrives.

mod connection;
pub(crate) mod listener;
pub(crate) mod notifier;

pub use crate::asynchronous::postgres::listener::Listener;
pub use crate::asynchronous::postgres::notifier::Notifier;
pub use crate::sql::postgres::notifications::settings::Notifications;
