use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::time::Instant;

use futures_util::FutureExt;

use crate::asynchronous::repository::MessageRepository;
use crate::asynchronous::tables::AsyncTables;
use crate::error::Error;
use crate::error::kind::BoxError;
use crate::message::raw::RawMessage;
use crate::message::storable::Dispatched;
use crate::panics::panic_message;
use crate::publish::coalesce::writer::{CONNECT_TIMEOUT, IN_TRANSACTION, MAX_IDLE, failed};
use crate::sql::executor::on_async::OnAsync;
use crate::sql::own_transactions::{abandon, is_in_transaction};
use crate::store::repository::OnDuplicate;

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Opens connections.
pub(super) type Connect =
    dyn Fn() -> BoxFuture<'static, Result<Box<dyn Connection>, BoxError>> + Send + Sync;

/// A connection that commits messages, each call in a transaction of its own.
pub(super) trait Connection: Send {
    fn is_in_transaction(&mut self) -> bool;

    fn abandon(&mut self);

    fn persist<'a>(
        &'a mut self,
        messages: &'a [RawMessage],
        duplicates: OnDuplicate,
    ) -> BoxFuture<'a, Result<usize, Error>>;
}

impl<C: AsyncTables> Connection for C {
    fn is_in_transaction(&mut self) -> bool {
        is_in_transaction(&mut OnAsync(self.parts().0))
    }

    fn abandon(&mut self) {
        abandon(&mut OnAsync(self.parts().0));
    }

    fn persist<'a>(
        &'a mut self,
        messages: &'a [RawMessage],
        duplicates: OnDuplicate,
    ) -> BoxFuture<'a, Result<usize, Error>> {
        Box::pin(self.persist_dispatched(Dispatched::new(messages), duplicates))
    }
}

/// The connection of a writer, which is opened when it is needed.
#[derive(Default)]
pub(super) struct Kept(Option<(Box<dyn Connection>, Instant)>);

impl Kept {
    pub(super) async fn persist(
        &mut self,
        connect: &Connect,
        messages: &[RawMessage],
        duplicates: OnDuplicate,
    ) -> Result<usize, Error> {
        let mut connection = self.connection(connect).await?;
        let persisted = AssertUnwindSafe(connection.persist(messages, duplicates));
        let result = match persisted.catch_unwind().await {
            Ok(result) => result,
            // The connection is of no use.
            Err(panic) => return Err(failed(panic_message(&*panic).into())),
        };
        // After an error of the database, or inside a transaction, the connection is unusable.
        let is_good = !matches!(&result, Err(error) if error.is_of_repository());
        if is_good && !connection.is_in_transaction() {
            self.0 = Some((connection, Instant::now()));
        } else {
            connection.abandon();
        }
        result
    }

    /// Returns the current connection, or a new one.
    async fn connection(&mut self, connect: &Connect) -> Result<Box<dyn Connection>, Error> {
        if let Some((connection, used)) = self.0.take()
            && used.elapsed() < MAX_IDLE
        {
            return Ok(connection);
        }
        let opened = AssertUnwindSafe(async { connect().await }).catch_unwind();
        let opened = match tokio::time::timeout(CONNECT_TIMEOUT, opened).await {
            Ok(Ok(opened)) => opened,
            Ok(Err(panic)) => Err(panic_message(&*panic).into()),
            Err(late) => Err(late.into()),
        };
        let mut connection = opened.map_err(|cause| {
            Error::transient("connecting to commit messages; nothing was written", cause)
        })?;
        if connection.is_in_transaction() {
            return Err(failed(IN_TRANSACTION.into()));
        }
        Ok(connection)
    }
}
