//! The steps of publishing, on sync and async connections.
//!
//! The functions that publish are `async`, and written once. On a sync connection, each of their steps
//! is done when it is asked for, so that the first poll of such a function completes it ([`now`]). On
//! an async connection, they are awaited.

#[cfg(feature = "diesel-async-0_9-postgres")]
pub(crate) mod batches;
#[cfg(feature = "diesel-async-0_9")]
pub(crate) mod dedicated;
#[cfg(feature = "diesel-async-0_9")]
pub(crate) mod on_async;
pub(crate) mod on_sync;
#[cfg(feature = "diesel-async-0_9")]
pub(crate) mod on_this_thread;
#[cfg(feature = "diesel-async-0_9-postgres")]
pub(crate) mod pipeline;

use std::future::{self, Future, Ready};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::thread;

use diesel::connection::TransactionManagerStatus;
use diesel::query_builder::{QueryFragment, QueryId};
use diesel::result::QueryResult;

use crate::sql::dialect::{Dialect, Statement};
use crate::sql::rows::{BrokenColumn, Column, ReadValue};
use crate::sql::watch::StatementWatch;

/// A connection that answers questions.
///
/// Statements are handed over by value, so that a function that publishes holds none of them while it
/// waits. Its future is then `Send`, whatever the statements contain.
pub trait Asked: Send {
    /// The database.
    type Backend: Dialect + ReadValue;

    /// Calls `read` with the first `N` columns of the first row, and lets the statement run to its end.
    fn first_row<'s, T, const N: usize>(
        &'s mut self,
        statement: Statement<'s>,
        read: impl FnOnce(&mut [Column<'_, Self::Backend>; N]) -> Result<T, BrokenColumn> + Send + 's,
    ) -> Step<'s, QueryResult<Option<T>>>
    where
        T: Send + 's;
}

/// A connection that runs statements.
pub trait Executor: Asked {
    /// Runs a statement, and returns the number of rows that it has changed.
    fn execute<'s, Q>(&'s mut self, query: Q) -> Step<'s, QueryResult<usize>>
    where
        Q: QueryFragment<Self::Backend> + QueryId + 's;

    /// Returns the texts in the first column.
    fn texts<'s>(&'s mut self, statement: Statement<'s>) -> Step<'s, QueryResult<Vec<String>>>;

    /// Runs SQL text, which can have several statements.
    fn run<'s>(&'s mut self, sql: &'s str) -> Step<'s, QueryResult<()>>;

    /// Begins a transaction, or sets a savepoint in one.
    fn begin(&mut self) -> Step<'_, QueryResult<()>>;

    /// Commits what was done since `begin`.
    fn commit(&mut self) -> Step<'_, QueryResult<()>>;

    /// Rolls back what was done since `begin`.
    fn roll_back(&mut self) -> Step<'_, QueryResult<()>>;

    /// Returns Diesel's knowledge of the open transactions.
    fn status(&mut self) -> &mut TransactionManagerStatus;

    /// Returns the watch of the connection's statements, if it has one.
    fn watch(&mut self) -> Option<&mut StatementWatch>;

    /// Installs a watch if the connection has no instrumentation of its own; returns `true` if so.
    fn install(&mut self, watch: StatementWatch) -> bool;

    /// Makes the connection prepare each statement again.
    fn forget_statements(&mut self);

    /// Whether a statement that has failed can make prepared statements useless: see
    /// `FAILED_LOADS_BREAK_STATEMENTS`.
    fn failures_break_statements(&mut self) -> bool;

    /// Returns the connection of Diesel's own type `P`, if it is one.
    #[cfg(any(feature = "postgres", feature = "mysql"))]
    fn plain<P>(&mut self) -> Option<&mut P>
    where
        P: crate::sql::plain::Plain;
}

/// The result of a step: there already, or awaited. It is a type of its own, and not a future that each
/// implementation chooses, so that a compiler that does not know the connection knows that it is `Send`.
#[derive(Debug)]
pub enum Step<'s, T> {
    Done(Ready<T>),
    Later(Later<'s, T>),
}

/// The future of a step.
pub struct Later<'s, T>(Pin<Box<dyn Future<Output = T> + Send + 's>>);

impl<T> std::fmt::Debug for Later<'_, T> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Later")
    }
}

impl<'s, T> Step<'s, T> {
    fn done(result: T) -> Self {
        Self::Done(future::ready(result))
    }

    #[cfg(feature = "diesel-async-0_9")]
    fn later(future: impl Future<Output = T> + Send + 's) -> Self {
        Self::Later(Later(Box::pin(future)))
    }
}

impl<T> Future for Step<'_, T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        match self.get_mut() {
            Self::Done(result) => Pin::new(result).poll(context),
            Self::Later(Later(future)) => future.as_mut().poll(context),
        }
    }
}

/// Returns the result of a function on a sync connection, all of whose steps are done when they are
/// asked for.
pub(super) fn now<T>(function: impl Future<Output = T>) -> T {
    let mut function = pin!(function);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(result) = function.as_mut().poll(&mut context) {
            return result;
        }
        debug_assert!(false, "no step of a sync connection is awaited");
        thread::yield_now();
    }
}
