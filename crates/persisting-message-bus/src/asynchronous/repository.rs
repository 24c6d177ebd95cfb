use crate::asynchronous::tables::AsyncTables;
use crate::error::Error;
use crate::memory::bus::InMemoryMessageBus;
use crate::message::storable::{Dispatched, Storable};
use crate::sql::backend::PublishBackend;
use crate::sql::executor::on_async::OnAsync;
use crate::sql::missing;
use crate::sql::repository::publish;
use crate::store::repository::{MessageRepository as SyncRepository, OnDuplicate};

/// A store of messages that is written with `await`: a connection of diesel-async, plain or from a pool,
/// or an [`InMemoryMessageBus`] in tests.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an async repository of messages",
    label = "not an async connection",
    note = "pass a connection of diesel-async: from a pool, `&mut pool.get().await?`; with other table names, `&mut schema.bind(&mut connection)`",
    note = "for a sync connection of Diesel, use `persisting_message_bus::MessageDispatcher`",
    note = "turn on the feature `diesel-async-0_9-postgres`, `-mysql` or `-sqlite` of `persisting-message-bus`"
)]
pub trait MessageRepository: Send {
    /// Appends the messages of a dispatcher in their order, all of them or none; returns how many were
    /// new.
    #[doc(hidden)]
    fn persist_dispatched(
        &mut self,
        messages: Dispatched<'_>,
        duplicates: OnDuplicate,
    ) -> impl Future<Output = Result<usize, Error>> + Send;
}

#[diagnostic::do_not_recommend]
impl<T: AsyncTables> MessageRepository for T {
    async fn persist_dispatched(
        &mut self,
        messages: Dispatched<'_>,
        duplicates: OnDuplicate,
    ) -> Result<usize, Error> {
        let messages = Storable::check_dispatched(messages)?.messages();
        if messages.is_empty() {
            return Ok(0);
        }
        let (connection, schema) = self.parts();
        let mut executor = OnAsync(connection);
        T::Backend::follow_database(&mut executor);
        match publish(&mut executor, schema, messages, duplicates).await {
            Ok(persisted) => Ok(persisted),
            Err(error) => Err(missing::explained(&mut executor, schema, error).await),
        }
    }
}

impl MessageRepository for InMemoryMessageBus {
    async fn persist_dispatched(
        &mut self,
        messages: Dispatched<'_>,
        duplicates: OnDuplicate,
    ) -> Result<usize, Error> {
        SyncRepository::persist_dispatched(self, messages, duplicates)
    }
}
