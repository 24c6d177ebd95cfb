use std::error::Error as StdError;
use std::pin::pin;
use std::time::Duration;

use diesel_async_0_9::AsyncPgConnection;
use futures_util::future::select;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::warn;

use crate::asynchronous::postgres::connection::Connections;
use crate::backoff::full_jitter;
use crate::error::Error;
use crate::error::kind::BoxError;
use crate::sql::postgres::notifications::settings::Notifications;

/// Announces to listeners that something was published. The example of
/// [`Listener`](super::Listener) starts one.
///
/// The notifier is a task. When the notifier is dropped, the task still sends the pending
/// notification if the runtime runs so long; [`close_within`](Self::close_within) waits for it.
#[derive(Debug)]
pub struct Notifier {
    /// The number of the announcements so far.
    announced: watch::Sender<u64>,
    task: JoinHandle<Result<(), BoxError>>,
}

impl Notifier {
    /// Starts a notifier, on a connection of its own that `connect` opens.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[must_use = "the notifier ends when it is dropped"]
    pub fn start<E>(
        settings: Notifications,
        connect: impl AsyncFn() -> Result<AsyncPgConnection, E> + Send + Sync + 'static,
    ) -> Self
    where
        E: Into<Box<dyn StdError + Send + Sync>> + 'static,
    {
        let (announced, announcements) = watch::channel(0);
        let connections = Connections::new(connect, settings.answer_timeout);
        let notifying = async move { notify(&settings, &connections, announcements).await };
        Self {
            announced,
            task: tokio::spawn(notifying),
        }
    }

    /// Announces new messages. Returns at once: the notifier's task sends the notification. Many
    /// calls become one notification.
    ///
    /// Call it after the commit, because the messages are not visible before the commit.
    pub fn notify(&self) {
        self.announced.send_modify(|announced| *announced += 1);
    }

    /// Sends the pending notification, and ends.
    ///
    /// # Errors
    ///
    /// When the pending notification could not be sent, or was not sent in time. Consumers find the
    /// messages by polling.
    pub async fn close_within(self, deadline: Duration) -> Result<(), Error> {
        let Self { announced, task } = self;
        drop(announced);
        let cause: BoxError = match timeout(deadline, task).await {
            Ok(Ok(Ok(()))) => return Ok(()),
            Ok(Ok(Err(cause))) => cause,
            Ok(Err(ended)) => ended.into(),
            Err(_elapsed) => format!("the server did not answer within {deadline:?}").into(),
        };
        let doing = "sending the pending notification (consumers find the messages by polling)";
        Err(Error::permanent(doing, cause))
    }
}

/// Sends pending notifications until the notifier is dropped. Returns the error of the last one.
async fn notify<F, E>(
    settings: &Notifications,
    connections: &Connections<F>,
    mut announcements: watch::Receiver<u64>,
) -> Result<(), BoxError>
where
    F: AsyncFn() -> Result<AsyncPgConnection, E> + Send + Sync + 'static,
    E: Into<Box<dyn StdError + Send + Sync>> + 'static,
{
    let statement = settings.statement("NOTIFY");
    let mut connection = None;
    // Every announcement before the drop is seen before the error.
    while announcements.changed().await.is_ok() {
        let begun = Instant::now();
        let mut failures = 0;
        while let Err(error) = send(&statement, &mut connection, connections).await {
            failures += 1;
            if announcements.has_changed().is_err() {
                return Err(error);
            }
            warn!(
                failures,
                %error, "notification of new messages failed, retrying"
            );
            let delay = full_jitter(settings.backoff.max_delay_after(failures));
            pause(Instant::now() + delay, &announcements).await;
        }
        pause(begun + settings.notify_interval, &announcements).await;
    }
    Ok(())
}

/// Waits until a time or the drop of the notifier.
async fn pause(until: Instant, announcements: &watch::Receiver<u64>) {
    // Another receiver, because this one marks announcements as seen.
    let mut closing = announcements.clone();
    select(pin!(sleep_until(until)), pin!(closing.wait_for(|_| false))).await;
}

/// Sends the notification, on the present connection if it is not lost, or on a new one.
async fn send<F, E>(
    statement: &str,
    connection: &mut Option<AsyncPgConnection>,
    connections: &Connections<F>,
) -> Result<(), BoxError>
where
    F: AsyncFn() -> Result<AsyncPgConnection, E> + Send + Sync + 'static,
    E: Into<Box<dyn StdError + Send + Sync>> + 'static,
{
    if let Some(mut open) = connection.take()
        && connections.run(&mut open, statement).await.is_ok()
    {
        *connection = Some(open);
        return Ok(());
    }
    *connection = Some(connections.open(statement).await?);
    Ok(())
}
