use std::time::Duration;

use crate::asynchronous::once::OnceAsync;
use crate::asynchronous::tables::AsyncTables;
use crate::asynchronous::transaction::in_transaction;
use crate::bridge::inbox::Inbox as SyncInbox;
use crate::error::Error;
use crate::sql::backend::PublishBackend;
use crate::sql::executor::on_async::OnAsync;
use crate::sql::inbox::{prune, receive};
use crate::sql::missing;
use crate::store::inbox::InboxKey;

/// Handles messages from outside once, however often they arrive: [`Inbox`](crate::Inbox) for the
/// connections of diesel-async.
///
#[cfg_attr(feature = "diesel-async-0_9-postgres", doc = "```no_run")]
#[cfg_attr(not(feature = "diesel-async-0_9-postgres"), doc = "```ignore")]
/// # use diesel_async_0_9 as diesel_async;
/// use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
/// use persisting_message_bus::InboxKey;
/// use persisting_message_bus::asynchronous::Inbox;
/// # type BoxError = Box<dyn std::error::Error + Send + Sync>;
///
/// # async fn receive() -> Result<(), BoxError> {
/// let mut connection = AsyncPgConnection::establish("postgres://...").await?;
/// let inbox = Inbox::new(InboxKey {
///     consumer: "billing",
///     source: "https://payments.example/webhook",
/// })?;
/// let booked = inbox.process_once(&mut connection, "evt_4711", async |connection| {
///     diesel::sql_query("INSERT INTO bookings (cents) VALUES (1250)")
///         .execute(connection)
///         .await?;
///     Ok::<_, BoxError>(())
/// });
/// assert!(booked.await?.is_some()); // `None` if it was handled before
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inbox(SyncInbox);

impl Inbox {
    /// Creates an inbox for the messages that a consumer receives from a source.
    ///
    /// # Errors
    ///
    /// Those of [`Inbox::new`](crate::Inbox::new).
    pub fn new(key: InboxKey<'_>) -> Result<Self, Error> {
        SyncInbox::new(key).map(Self)
    }

    /// Sets how long the inbox remembers messages. Default: 7 days. It must not be shorter than the
    /// time within which the source can send a message again. Zero means that each call of
    /// [`prune`](Self::prune) forgets every message.
    #[must_use]
    pub fn retention(self, retention: Duration) -> Self {
        Self(self.0.retention(retention))
    }

    /// Runs `handle` in a transaction. Returns `None` if the message was handled before.
    ///
    /// The id has at most [`MAX_NAME_LENGTH`](crate::backend::MAX_NAME_LENGTH) characters. The effects
    /// that `handle` has through the connection happen exactly once. If `handle` fails, they are rolled
    /// back, and the message can be received again.
    ///
    /// If the future is dropped before it is done, or `handle` panics, the connection is marked as
    /// broken: Diesel runs nothing on it any more, and a pool closes it. The database then rolls the
    /// transaction back.
    ///
    /// # Errors
    ///
    /// - The error that `handle` returns.
    /// - [`Error::is_invalid_name`] if the id cannot be stored.
    /// - If the inbox cannot be written.
    #[expect(clippy::manual_async_fn, reason = "it says that the future is `Send`")]
    pub fn process_once<'a, C, T, E, F>(
        &'a self,
        connection: &'a mut C,
        message_id: &'a str,
        handle: F,
    ) -> impl Future<Output = Result<Option<T>, E>> + Send
    where
        C: AsyncTables,
        for<'r> F: AsyncFnOnce(&'r mut C) -> Result<T, E>
            + OnceAsync<&'r mut C, Result<T, E>, Done: Send>
            + Send
            + 'a,
        T: Send + 'a,
        E: From<Error> + Send + 'a,
    {
        async move {
            let received = self.0.entry(message_id)?;
            in_transaction(connection, async |tables: &mut C| {
                let (connection, schema) = tables.parts();
                let mut executor = OnAsync(connection);
                let is_new = match receive(&mut executor, schema, &received).await {
                    Ok(is_new) => is_new,
                    Err(error) => {
                        return Err(missing::explained(&mut executor, schema, error)
                            .await
                            .into());
                    }
                };
                if is_new {
                    handle(tables).await.map(Some)
                } else {
                    Ok(None)
                }
            })
            .await
        }
    }

    /// Forgets messages that were received longer ago than the [`retention`](Self::retention); returns
    /// their number. Call it from time to time, for example once a day, and outside of a transaction: it
    /// then commits after each 1,000 messages, and publishers and receivers can write in between.
    ///
    /// # Errors
    ///
    /// If the inbox cannot be written. Earlier batches are forgotten.
    ///
    /// # Panics
    ///
    /// If the runtime has no timers (`enable_time`) and several batches are forgotten.
    pub async fn prune<C: AsyncTables>(&self, connection: &mut C) -> Result<u64, Error> {
        let (key, retention) = self.0.pruned();
        let (connection, schema) = connection.parts();
        let mut executor = OnAsync(connection);
        C::Backend::follow_database(&mut executor);
        let mut all = 0;
        loop {
            let batch = match prune(&mut executor, schema, key, retention).await {
                Ok(batch) => batch,
                Err(error) => return Err(missing::explained(&mut executor, schema, error).await),
            };
            all += batch.pruned as u64;
            match batch.pause {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Ok(all),
            }
        }
    }
}
