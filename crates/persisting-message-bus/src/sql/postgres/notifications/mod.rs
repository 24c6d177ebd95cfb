//! LISTEN and NOTIFY, outside the transactions that publish.

#[cfg(feature = "postgres")]
mod connection;
#[cfg(feature = "postgres")]
mod listener;
#[cfg(feature = "postgres")]
mod notifier;
pub(crate) mod settings;

#[cfg(feature = "postgres")]
pub use crate::sql::postgres::notifications::listener::Listener;
#[cfg(feature = "postgres")]
pub use crate::sql::postgres::notifications::notifier::Notifier;
