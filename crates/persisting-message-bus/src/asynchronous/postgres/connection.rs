//! Connections whose calls end in time, or fail.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use diesel_async_0_9::{AsyncPgConnection, SimpleAsyncConnection};
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::error::kind::BoxError;

/// Opens connections and runs statements on them, each within a limited time.
pub(super) struct Connections<F> {
    connect: Arc<F>,
    timeout: Duration,
}

impl<F, E> Connections<F>
where
    F: AsyncFn() -> Result<AsyncPgConnection, E> + Send + Sync + 'static,
    E: Into<Box<dyn StdError + Send + Sync>>,
{
    pub(super) fn new(connect: F, timeout: Duration) -> Self {
        Self {
            connect: Arc::new(connect),
            timeout,
        }
    }

    /// Opens a connection and runs a statement on it.
    ///
    /// The future of an async closure that captures cannot be shown to be `Send`, so a thread for
    /// blocking calls waits for it.
    pub(super) async fn open(&self, statement: &str) -> Result<AsyncPgConnection, BoxError> {
        let (connect, runtime, limit) =
            (Arc::clone(&self.connect), Handle::current(), self.timeout);
        let opening = move || {
            let connected = runtime.block_on(async { timeout(limit, connect()).await });
            connected
                .map_err(|_elapsed| Unanswered(limit).into())
                .and_then(|connected| connected.map_err(Into::into))
        };
        let mut connection = spawn_blocking(opening)
            .await
            .unwrap_or_else(|panicked| Err(panicked.into()))?;
        self.run(&mut connection, statement).await?;
        Ok(connection)
    }

    /// Runs a statement.
    pub(super) async fn run(
        &self,
        connection: &mut AsyncPgConnection,
        statement: &str,
    ) -> Result<(), BoxError> {
        match timeout(self.timeout, connection.batch_execute(statement)).await {
            Ok(done) => Ok(done?),
            Err(_elapsed) => Err(Unanswered(self.timeout).into()),
        }
    }
}

/// A call that was given up.
#[derive(Debug)]
struct Unanswered(Duration);

impl fmt::Display for Unanswered {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "there was no answer within {:?} (Notifications::answer_timeout)",
            self.0
        )
    }
}

impl StdError for Unanswered {}
