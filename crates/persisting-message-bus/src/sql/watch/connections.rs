//! The watch of a connection: installed, asked and paused.

use crate::error::Error;
use crate::sql::executor::Executor;
use crate::sql::failing::Failing;
use crate::sql::watch::{Noticed, StatementWatch};

/// Starts to watch the statements of the transaction in which `open` transactions are open. Returns
/// `true` if the statements are watched. If an outer transaction is watched already, its watch
/// serves both.
pub(in crate::sql) fn arm<E: Executor>(executor: &mut E, open: usize, failing: Failing) -> bool {
    if let Some(watch) = executor.watch() {
        if watch.armed_at.is_none_or(|outer| outer >= open) {
            (watch.armed_at, watch.noticed) = (Some(open), Noticed::default());
            watch.failing = Some(failing);
        }
        return true;
    }
    executor.install(StatementWatch {
        armed_at: Some(open),
        failing: Some(failing),
        ..StatementWatch::default()
    })
}

/// Returns `true` if a statement may have selected another database, or has failed, since the last
/// call. The first call begins to watch the connection, unless the connection has an instrumentation
/// of its own.
#[cfg(feature = "mysql_backend")]
pub(in crate::sql) fn has_stale_statements<E: Executor>(executor: &mut E) -> bool {
    let after_failures = executor.failures_break_statements();
    if let Some(watch) = executor.watch() {
        watch.notices_stale_statements = true;
        let after_failures = std::mem::take(&mut watch.has_failed_statements) && after_failures;
        return std::mem::take(&mut watch.has_stale_statements) || after_failures;
    }
    executor.install(StatementWatch {
        notices_stale_statements: true,
        ..StatementWatch::default()
    });
    false
}

/// Returns `true` if the session must remember which database is selected, so that this is known
/// after the application has selected another one.
#[cfg(feature = "mysql_backend")]
pub(in crate::sql) fn must_remember_database<E: Executor>(executor: &mut E) -> bool {
    executor
        .watch()
        .is_some_and(|watch| !watch.remembers_database)
}

/// Notes that the session remembers its database.
#[cfg(feature = "mysql_backend")]
pub(in crate::sql) fn remembers_database<E: Executor>(executor: &mut E) {
    if let Some(watch) = executor.watch() {
        watch.remembers_database = true;
    }
}

/// Sets whether the statements that follow are the library's own, and name the database but select
/// none, so that they do not count as selecting one. Returns what was set before.
#[cfg(feature = "mysql_backend")]
pub(in crate::sql) fn set_paused<E: Executor>(executor: &mut E, is_paused: bool) -> bool {
    let watch = executor.watch();
    watch.is_some_and(|watch| std::mem::replace(&mut watch.is_paused, is_paused))
}

/// Returns the events that were noticed since they were last forgotten; `None` if there is no
/// active watch.
pub(in crate::sql) fn noticed<E: Executor>(executor: &mut E) -> Option<&Noticed> {
    let watch = executor.watch()?;
    watch.armed_at.is_some().then_some(&watch.noticed)
}

/// Forgets the noticed events, unless an outer transaction needs them, too.
pub(in crate::sql) fn forget<E: Executor>(executor: &mut E, open: usize) {
    if let Some(watch) = executor.watch()
        && watch.armed_at == Some(open)
    {
        watch.noticed = Noticed::default();
    }
}

/// Ends the watch, unless an outer transaction is guarded, too.
pub(crate) fn disarm<E: Executor>(executor: &mut E, open: usize) {
    if let Some(watch) = executor.watch()
        && watch.armed_at == Some(open)
    {
        watch.armed_at = None;
    }
}

/// A connection whose watch does not watch. Statements of the library follow, all of which leave a
/// transaction as it is unless one fails. The watch does not inspect them one by one, because inspecting
/// a large batch takes a tenth of the time of its insertion.
pub(in crate::sql) struct Unwatched<'e, E: Executor> {
    pub(in crate::sql) executor: &'e mut E,
    armed_at: Option<usize>,
    is_paused: bool,
}

impl<'e, E: Executor> Unwatched<'e, E> {
    pub(in crate::sql) fn new(executor: &'e mut E) -> Self {
        let (mut armed_at, mut is_paused) = (None, false);
        if let Some(watch) = executor.watch() {
            is_paused = true;
            watch.is_paused = true;
            armed_at = watch.armed_at.take();
            if !watch.noticed.is_nothing() {
                watch.noticed.is_rolled_back = false;
            }
        }
        Self {
            executor,
            armed_at,
            is_paused,
        }
    }

    /// Continues to watch, after statements with this result.
    pub(in crate::sql) fn end<T>(mut self, result: &Result<T, Error>) {
        self.go_on(result.as_ref().err().map(|error| format!("{error:#}")));
    }

    fn go_on(&mut self, failure: Option<String>) {
        if !std::mem::take(&mut self.is_paused) {
            return;
        }
        if let Some(watch) = self.executor.watch() {
            watch.is_paused = false;
            watch.armed_at = self.armed_at;
            if self.armed_at.is_some()
                && let Some(failure) = failure
            {
                watch.noticed.add(failure, true);
            }
        }
    }
}

impl<E: Executor> Drop for Unwatched<'_, E> {
    /// The statements did not end: their future was dropped.
    fn drop(&mut self) {
        self.go_on(Some("a dispatch whose future was dropped".to_owned()));
    }
}
