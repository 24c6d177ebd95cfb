use std::sync::Arc;

use diesel_async::pooled_connection::AsyncDieselConnectionManager;
use diesel_async::{AsyncConnection, AsyncPgConnection};
use persisting_message_bus::asynchronous::Running;
use persisting_message_bus::asynchronous::postgres::{Listener, Notifications, Notifier};

use crate::service::Result;

pub type Plain = AsyncPgConnection;

pub fn manager() -> Result<AsyncDieselConnectionManager<Plain>> {
    Ok(AsyncDieselConnectionManager::new(url()?))
}

fn url() -> Result<String> {
    std::env::var("DATABASE_URL").map_err(|_| "DATABASE_URL must be postgres://...".into())
}

/// Wakes the consumers of all processes, by a notification of PostgreSQL.
#[derive(Clone)]
pub struct Wakes(Arc<(Notifier, Listener)>);

impl Wakes {
    pub fn start(running: &Running) -> Self {
        let connect = async || {
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(
                AsyncPgConnection::establish(&url()?).await?,
            )
        };
        let notifier = Notifier::start(Notifications::default(), connect);
        let listener = Listener::start(Notifications::default(), connect, running.waker());
        Self(Arc::new((notifier, listener)))
    }

    pub fn wake(&self) {
        self.0.0.notify();
    }
}
