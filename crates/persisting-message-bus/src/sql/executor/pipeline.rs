//! Questions to PostgreSQL that are on their way at the same time.

use std::any::Any;

use diesel::pg::Pg;
use diesel::result::QueryResult;
use diesel_async_0_9::async_connection_wrapper::AsyncConnectionWrapper;
#[cfg(feature = "diesel-async-0_9-deadpool")]
use diesel_async_0_9::pooled_connection::deadpool::Object;
use diesel_async_0_9::{AsyncConnectionCore, AsyncPgConnection};
use futures_util::Stream;

use crate::sql::dialect::Statement;
use crate::sql::executor::dedicated::Dedicated;
use crate::sql::executor::on_async::first_of;
use crate::sql::executor::on_this_thread::OnThisThread;
use crate::sql::executor::{Asked, Step};
use crate::sql::rows::{BrokenColumn, Column};

/// A row that owns its values.
pub(super) type PgRow = <AsyncPgConnection as AsyncConnectionCore>::Row<'static, 'static>;

/// A connection that is asked several questions before it has answered the first one. The server
/// answers them one after the other, in the order in which they were asked.
#[derive(Clone)]
pub(crate) struct Pipeline<'a> {
    connection: &'a AsyncPgConnection,
    pub(crate) thread: OnThisThread,
}

impl<'a> Pipeline<'a> {
    /// Returns the pipeline of a connection that blocks its thread: plain, from a deadpool or dedicated.
    /// `None` for every other connection, and outside of a runtime.
    pub(crate) fn of<C: 'static>(connection: &'a C) -> Option<Self> {
        type Blocking<C> = AsyncConnectionWrapper<C, OnThisThread>;
        let bus: &dyn Any = connection;
        if let Some(dedicated) = bus.downcast_ref::<Dedicated<AsyncPgConnection>>() {
            let thread = dedicated.thread().clone();
            let connection: &AsyncPgConnection = dedicated;
            return Some(Self { connection, thread });
        }
        let thread = OnThisThread::of_context()?;
        #[cfg(feature = "diesel-async-0_9-deadpool")]
        if let Some(pooled) = bus.downcast_ref::<Blocking<Object<AsyncPgConnection>>>() {
            let connection: &AsyncPgConnection = pooled;
            return Some(Self { connection, thread });
        }
        let connection = bus.downcast_ref::<Blocking<AsyncPgConnection>>()?;
        Some(Self { connection, thread })
    }
}

impl Pipeline<'_> {
    /// Returns the rows of a statement, as they arrive.
    pub(crate) async fn rows(
        &self,
        statement: Statement<'_>,
    ) -> QueryResult<impl Stream<Item = QueryResult<PgRow>> + Send + Unpin + use<>> {
        let mut connection = self.connection;
        connection.load(statement).await
    }
}

impl Asked for Pipeline<'_> {
    type Backend = Pg;

    fn first_row<'s, T, const N: usize>(
        &'s mut self,
        statement: Statement<'s>,
        read: impl FnOnce(&mut [Column<'_, Pg>; N]) -> Result<T, BrokenColumn> + Send + 's,
    ) -> Step<'s, QueryResult<Option<T>>>
    where
        T: Send + 's,
    {
        let mut connection = self.connection;
        let rows = connection.load(statement);
        Step::later(async move { first_of(rows.await?, read).await })
    }
}
