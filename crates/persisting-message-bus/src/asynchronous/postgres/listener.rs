use std::convert::Infallible;
use std::error::Error as StdError;
use std::pin::pin;
use std::time::Duration;

use diesel_async_0_9::AsyncPgConnection;
use futures_util::StreamExt;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tracing::warn;

use crate::asynchronous::postgres::connection::Connections;
use crate::backoff::full_jitter;
use crate::error::kind::BoxError;
use crate::signals::Waker;
use crate::sql::postgres::notifications::settings::Notifications;

/// Wakes a runner when a [`Notifier`](super::Notifier), of this module or of
/// [`sql::postgres`](crate::sql::postgres), announces new messages.
///
/// The listener is a task that sleeps until the server sends a notification. When the listener is
/// dropped, its task ends.
///
/// ```no_run
/// # extern crate diesel_async_0_9 as diesel_async;
/// use diesel_async::{AsyncConnection, AsyncPgConnection};
/// use persisting_message_bus::Waker;
/// use persisting_message_bus::asynchronous::postgres::{Listener, Notifications, Notifier};
///
/// # async fn start(waker: Waker) {
/// let connect = async || AsyncPgConnection::establish("postgres://localhost/shop").await;
///
/// // The process that consumes: `waker` is that of its `Running`.
/// let listener = Listener::start(Notifications::default(), connect, waker);
///
/// // The process that publishes, after each commit.
/// let notifier = Notifier::start(Notifications::default(), connect);
/// notifier.notify();
/// # }
/// ```
#[derive(Debug)]
pub struct Listener {
    task: JoinHandle<()>,
}

impl Listener {
    /// Starts a listener that wakes a runner, on a connection of its own that `connect` opens. The
    /// connection must lead to the server itself, because a pooler in transaction mode does not
    /// deliver notifications.
    ///
    /// [`Notifications::poll_interval`] has no effect, because nothing is polled.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[must_use = "the listener ends when it is dropped"]
    pub fn start<E>(
        settings: Notifications,
        connect: impl AsyncFn() -> Result<AsyncPgConnection, E> + Send + Sync + 'static,
        waker: Waker,
    ) -> Self
    where
        E: Into<Box<dyn StdError + Send + Sync>> + 'static,
    {
        let connections = Connections::new(connect, settings.answer_timeout);
        let listening = async move {
            let mut failures = 0_u32;
            loop {
                let Err(error) = listen(&settings, &connections, &waker, &mut failures).await;
                failures = failures.saturating_add(1);
                warn!(
                    failures,
                    error, "notification listener lost its connection, reconnecting"
                );
                sleep(full_jitter(settings.backoff.max_delay_after(failures))).await;
            }
        };
        Self {
            task: tokio::spawn(listening),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Listens on one connection until it is lost.
async fn listen<F, E>(
    settings: &Notifications,
    connections: &Connections<F>,
    waker: &Waker,
    failures: &mut u32,
) -> Result<Infallible, BoxError>
where
    F: AsyncFn() -> Result<AsyncPgConnection, E> + Send + Sync + 'static,
    E: Into<Box<dyn StdError + Send + Sync>> + 'static,
{
    let statement = settings.statement("LISTEN");
    let mut connection = connections.open(&statement).await?;
    *failures = 0;
    loop {
        // Earlier notifications were missed, or can have been.
        waker.wake();
        wake_until_silent(&mut connection, waker, settings.answer_timeout).await?;
        // The repeated statement changes nothing, and finds out whether the connection works.
        connections.run(&mut connection, &statement).await?;
    }
}

/// Wakes the runner at each notification. Returns when none has come for so long that the connection
/// may be cut without notice.
async fn wake_until_silent(
    connection: &mut AsyncPgConnection,
    waker: &Waker,
    patience: Duration,
) -> Result<(), BoxError> {
    let mut notifications = pin!(connection.notifications_stream());
    while let Ok(next) = timeout(patience, notifications.next()).await {
        next.ok_or("the connection has ended")??;
        waker.wake();
    }
    Ok(())
}
