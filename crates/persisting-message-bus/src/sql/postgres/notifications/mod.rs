//! LISTEN and NOTIFY, outside the transactions that publish.

mod connection;
mod listener;
mod notifier;
mod settings;

pub use crate::sql::postgres::notifications::listener::Listener;
pub use crate::sql::postgres::notifications::notifier::Notifier;
pub use crate::sql::postgres::notifications::settings::Notifications;
