use std::pin::pin;

use diesel::connection::{CacheSize, TransactionManagerStatus};
use diesel::query_builder::{QueryFragment, QueryId};
use diesel::result::Error::DeserializationError;
use diesel::result::QueryResult;
use diesel::row::Row;
use diesel_async_0_9::{AsyncConnection, TransactionManager};
use futures_util::{Stream, StreamExt};

use crate::sql::dialect::{Dialect, Statement};
use crate::sql::executor::{Asked, Executor, Step};
use crate::sql::rows::{BrokenColumn, Column, ReadValue, with_columns};
use crate::sql::watch::{self, StatementWatch};

/// A connection of diesel-async.
pub(crate) struct OnAsync<'a, C>(pub(crate) &'a mut C);

impl<C> Asked for OnAsync<'_, C>
where
    C: AsyncConnection,
    C::Backend: Dialect + ReadValue,
{
    type Backend = C::Backend;

    fn first_row<'s, T, const N: usize>(
        &'s mut self,
        statement: Statement<'s>,
        read: impl FnOnce(&mut [Column<'_, Self::Backend>; N]) -> Result<T, BrokenColumn> + Send + 's,
    ) -> Step<'s, QueryResult<Option<T>>>
    where
        T: Send + 's,
    {
        let rows = self.0.load(statement);
        Step::later(async move { first_of(rows.await?, read).await })
    }
}

impl<C> Executor for OnAsync<'_, C>
where
    C: AsyncConnection,
    C::Backend: Dialect + ReadValue,
{
    fn execute<'s, Q>(&'s mut self, query: Q) -> Step<'s, QueryResult<usize>>
    where
        Q: QueryFragment<Self::Backend> + QueryId + 's,
    {
        Step::later(self.0.execute_returning_count(query))
    }

    fn texts<'s>(&'s mut self, statement: Statement<'s>) -> Step<'s, QueryResult<Vec<String>>> {
        let rows = self.0.load(statement);
        Step::later(async move {
            let mut rows = pin!(rows.await?);
            let mut texts = Vec::new();
            while let Some(row) = rows.next().await {
                let text = with_columns(&row?, |[text]| text.text("name").map(str::to_owned));
                texts.push(text.map_err(broken)?);
            }
            Ok(texts)
        })
    }

    fn run<'s>(&'s mut self, sql: &'s str) -> Step<'s, QueryResult<()>> {
        Step::later(self.0.batch_execute(sql))
    }

    fn begin(&mut self) -> Step<'_, QueryResult<()>> {
        Step::later(C::TransactionManager::begin_transaction(self.0))
    }

    fn commit(&mut self) -> Step<'_, QueryResult<()>> {
        Step::later(C::TransactionManager::commit_transaction(self.0))
    }

    fn roll_back(&mut self) -> Step<'_, QueryResult<()>> {
        Step::later(C::TransactionManager::rollback_transaction(self.0))
    }

    fn status(&mut self) -> &mut TransactionManagerStatus {
        C::TransactionManager::transaction_manager_status_mut(self.0)
    }

    fn watch(&mut self) -> Option<&mut StatementWatch> {
        watch::of(self.0.instrumentation())
    }

    fn install(&mut self, watch: StatementWatch) -> bool {
        let watch = watch.in_place_of(self.0.instrumentation());
        watch.is_some_and(|watch| {
            self.0.set_instrumentation(watch);
            true
        })
    }

    /// Nothing is kept any more. The driver closes a statement on the server only if it is not kept, so
    /// keeping and forgetting again and again would fill the server's memory.
    fn forget_statements(&mut self) {
        self.0
            .set_prepared_statement_cache_size(CacheSize::Disabled);
    }

    fn failures_break_statements(&mut self) -> bool {
        false
    }

    #[cfg(any(feature = "postgres", feature = "mysql"))]
    fn plain<P>(&mut self) -> Option<&mut P>
    where
        P: crate::sql::plain::Plain,
    {
        None
    }
}

/// Calls `read` with the first row, and lets the statement run to its end.
pub(super) async fn first_of<'a, DB, R, T, const N: usize>(
    rows: impl Stream<Item = QueryResult<R>>,
    read: impl FnOnce(&mut [Column<'_, DB>; N]) -> Result<T, BrokenColumn>,
) -> QueryResult<Option<T>>
where
    DB: ReadValue,
    R: Row<'a, DB>,
{
    let mut rows = pin!(rows);
    let (mut read, mut first) = (Some(read), None);
    while let Some(row) = rows.next().await {
        let row = row?;
        if let Some(read) = read.take() {
            first = Some(with_columns(&row, read));
        }
    }
    first.transpose().map_err(broken)
}

fn broken(column: BrokenColumn) -> diesel::result::Error {
    DeserializationError(Box::new(column))
}
