use diesel::connection::{LoadConnection, TransactionManager, TransactionManagerStatus};
use diesel::query_builder::{QueryFragment, QueryId};
use diesel::result::QueryResult;

use crate::sql::dialect::{Dialect, Statement};
use crate::sql::executor::{Asked, Executor, Step};
use crate::sql::prepared::{breaks_statements, forget_statements};
use crate::sql::rows::{self, BrokenColumn, Column, ReadValue};
use crate::sql::watch::{self, StatementWatch};

/// A connection of Diesel.
pub(crate) struct OnSync<'a, C>(pub(crate) &'a mut C);

impl<C> Asked for OnSync<'_, C>
where
    C: LoadConnection + 'static,
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
        Step::done(rows::first_row(self.0, statement, read))
    }
}

impl<C> Executor for OnSync<'_, C>
where
    C: LoadConnection + 'static,
    C::Backend: Dialect + ReadValue,
{
    fn execute<'s, Q>(&'s mut self, query: Q) -> Step<'s, QueryResult<usize>>
    where
        Q: QueryFragment<Self::Backend> + QueryId + 's,
    {
        Step::done(self.0.execute_returning_count(&query))
    }

    fn texts<'s>(&'s mut self, statement: Statement<'s>) -> Step<'s, QueryResult<Vec<String>>> {
        Step::done(rows::texts(self.0, statement))
    }

    fn run<'s>(&'s mut self, sql: &'s str) -> Step<'s, QueryResult<()>> {
        Step::done(self.0.batch_execute(sql))
    }

    fn begin(&mut self) -> Step<'_, QueryResult<()>> {
        Step::done(C::TransactionManager::begin_transaction(self.0))
    }

    fn commit(&mut self) -> Step<'_, QueryResult<()>> {
        Step::done(C::TransactionManager::commit_transaction(self.0))
    }

    fn roll_back(&mut self) -> Step<'_, QueryResult<()>> {
        Step::done(C::TransactionManager::rollback_transaction(self.0))
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

    fn forget_statements(&mut self) {
        forget_statements(self.0);
    }

    fn failures_break_statements(&mut self) -> bool {
        breaks_statements(self.0)
    }

    #[cfg(any(feature = "postgres", feature = "mysql"))]
    fn plain<P>(&mut self) -> Option<&mut P>
    where
        P: crate::sql::plain::Plain,
    {
        crate::sql::plain::plain(self.0)
    }
}
