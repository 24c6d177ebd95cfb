//! Observes the effect that a connection's statements may have on their transaction, without asking
//! the database.
//!
//! A plain SELECT, INSERT, UPDATE or DELETE that succeeds leaves a transaction as it is, on every
//! database. After any other statement, and after a failed one, the library asks the database. So
//! only callers that run such statements pay for the question.
//!
//! On SQLite, Diesel does not report the errors of statements whose rows are loaded (`get_result`,
//! `load`). So the library also asks the database after each statement that writes and has a
//! RETURNING clause, and once at the end of each transaction.

pub(crate) mod verb;

use std::fmt::{self, Write};
use std::mem::size_of_val;

use diesel::connection::{
    Connection, DebugQuery, Instrumentation, InstrumentationEvent, get_default_instrumentation,
};
use diesel::result::{DatabaseErrorKind, Error as DieselError};

use crate::classify::chain::class_of_cause;
use crate::error::Error;
use crate::sql::backend::Failing;
use crate::sql::watch::verb::Verb;
use crate::store::transactions::UNKNOWN_CAUSE;

/// Watches the statements of a connection, for the consumers that work on it.
///
/// A consumer installs a watch on each connection on which it calls a transactional handler, and on
/// MySQL and MariaDB the library does so on each connection, if the connection has no
/// [`Instrumentation`] or only Diesel's default one. The watch passes every event
/// on to the default one. A connection with an instrumentation of its own keeps it. There, each
/// message costs one more round trip, unless you put the instrumentation into a watch. An
/// instrumentation that holds no data, such as a closure that captures nothing, cannot be
/// distinguished from none. Put it into a watch, too.
///
/// ```
/// use diesel::connection::InstrumentationEvent;
/// use diesel::{Connection, SqliteConnection};
/// use persisting_message_bus::sql::StatementWatch;
///
/// let mut connection = SqliteConnection::establish(":memory:")?;
/// let log = |event: InstrumentationEvent<'_>| println!("{event:?}");
/// connection.set_instrumentation(StatementWatch::around(log));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Default)]
pub struct StatementWatch {
    inner: Option<Box<dyn Instrumentation>>,
    /// The outermost guarded transaction, as the number of transactions that are open in it.
    armed_at: Option<usize>,
    failing: Option<Failing>,
    noticed: Noticed,
    /// Whether the statements are the library's own, and not inspected.
    is_paused: bool,
    /// Whether the database is one on which prepared statements can become useless.
    notices_stale_statements: bool,
    /// Whether prepared statements may be of no use: a statement may have selected another database,
    /// or has failed.
    has_stale_statements: bool,
    /// Whether the session remembers the selected database, and no statement may have changed it.
    remembers_database: bool,
}

/// The events that the watch has noticed since they were last forgotten.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Noticed {
    /// The statements that may have ended the transaction, with their errors.
    causes: Vec<String>,
    /// Whether one of the statements explicitly ends or begins a transaction.
    pub(super) is_ended: bool,
    /// Whether the connection was lost.
    pub(super) is_lost: bool,
    /// Whether an ended transaction has left no effect: the first of the statements made the
    /// database roll back, and no later statement has changed anything.
    pub(super) is_rolled_back: bool,
}

/// The number of statements that are remembered.
const MAX_CAUSES: usize = 3;

/// The number of characters that are remembered of each statement.
const MAX_STATEMENT: usize = 120;

impl StatementWatch {
    /// Creates a watch that passes every event on to another instrumentation.
    #[must_use]
    pub fn around(instrumentation: impl Instrumentation) -> Self {
        Self {
            inner: Some(Box::new(instrumentation)),
            ..Self::default()
        }
    }

    fn begins(&mut self, query: &dyn DebugQuery) {
        match verb_of(query) {
            Verb::Reads | Verb::Writes => {}
            Verb::Returns if !self.failing.is_some_and(|it| it.is_hidden_when_loaded) => {}
            Verb::Returns => self.noticed.add(beginning_of(query), true),
            verb => {
                self.noticed.is_ended |= verb > Verb::Unusual;
                self.noticed
                    .add(beginning_of(query), verb == Verb::RollsBack);
            }
        }
    }

    fn failed(&mut self, query: &dyn DebugQuery, error: &DieselError) {
        let (text, verb) = (beginning_of(query), verb_of(query));
        let is_harmless = self.failing.is_some_and(|it| it.violations_are_harmless);
        if is_harmless && verb < Verb::Unusual && is_violation(error) {
            return;
        }
        self.noticed.is_lost |= class_of_cause(error).is_lost();
        // If the statement is not a plain one, the watch noticed it when it began.
        if self.noticed.causes.last() == Some(&text) {
            self.noticed.causes.pop();
        }
        let cause = format!("{text}: {error}");
        self.noticed.add(cause, verb < Verb::Unusual);
    }

    /// Handles a statement that succeeded. After a rollback, its changes take effect at once.
    fn succeeded(&mut self, query: &dyn DebugQuery) {
        if !self.noticed.is_nothing() && verb_of(query) > Verb::Reads {
            let text = beginning_of(query);
            let is_itself = self.noticed.causes.len() == 1 && self.noticed.causes[0] == text;
            self.noticed.is_rolled_back &= is_itself;
        }
    }
}

impl Instrumentation for StatementWatch {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        if self.notices_stale_statements && !self.is_paused {
            self.has_stale_statements |= match &event {
                InstrumentationEvent::StartQuery { query, .. } => {
                    let may_select = may_select_database(*query);
                    self.remembers_database &= !may_select;
                    may_select
                }
                InstrumentationEvent::FinishQuery {
                    error: Some(error), ..
                } => !is_violation(error),
                _ => false,
            };
        }
        if self.armed_at.is_some() {
            match &event {
                InstrumentationEvent::StartQuery { query, .. } => self.begins(*query),
                InstrumentationEvent::FinishQuery {
                    query,
                    error: Some(error),
                    ..
                } => self.failed(*query, error),
                InstrumentationEvent::FinishQuery { query, .. } => self.succeeded(*query),
                _ => {}
            }
        }
        if let Some(inner) = &mut self.inner {
            inner.on_connection_event(event);
        }
    }
}

impl fmt::Debug for StatementWatch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("StatementWatch")
            .finish_non_exhaustive()
    }
}

impl Noticed {
    fn add(&mut self, cause: String, rolls_back: bool) {
        self.is_rolled_back = rolls_back && (self.is_rolled_back || self.is_nothing());
        if self.causes.len() < MAX_CAUSES {
            self.causes.push(cause);
        }
    }

    pub(super) fn is_nothing(&self) -> bool {
        self.causes.is_empty()
    }

    /// Returns the statements, as a text for an error.
    pub(super) fn cause(&self) -> String {
        if self.causes.is_empty() {
            return UNKNOWN_CAUSE.to_owned();
        }
        self.causes.join("; then ")
    }
}

/// Starts to watch the statements of the transaction in which `open` transactions are open. Returns
/// `true` if the statements are watched. If an outer transaction is watched already, its watch
/// serves both.
pub(super) fn arm<C: Connection>(connection: &mut C, open: usize, failing: Failing) -> bool {
    if let Some(watch) = watch_on(connection) {
        if watch.armed_at.is_none_or(|outer| outer >= open) {
            (watch.armed_at, watch.noticed) = (Some(open), Noticed::default());
            watch.failing = Some(failing);
        }
        return true;
    }
    let Some(inner) = replaceable(connection.instrumentation()) else {
        return false;
    };
    connection.set_instrumentation(StatementWatch {
        inner,
        armed_at: Some(open),
        failing: Some(failing),
        ..StatementWatch::default()
    });
    true
}

/// Returns `true` if a statement may have selected another database, or has failed, since the last
/// call. The first call begins to watch the connection, unless the connection has an instrumentation
/// of its own.
#[cfg(feature = "mysql_backend")]
pub(super) fn has_stale_statements<C: Connection>(connection: &mut C) -> bool {
    if let Some(watch) = watch_on(connection) {
        watch.notices_stale_statements = true;
        return std::mem::take(&mut watch.has_stale_statements);
    }
    if let Some(inner) = replaceable(connection.instrumentation()) {
        connection.set_instrumentation(StatementWatch {
            inner,
            notices_stale_statements: true,
            ..StatementWatch::default()
        });
    }
    false
}

/// Returns `true` if the session must remember which database is selected, so that this is known
/// after the application has selected another one.
#[cfg(feature = "mysql_backend")]
pub(super) fn must_remember_database<C: Connection>(connection: &mut C) -> bool {
    watch_on(connection).is_some_and(|watch| !watch.remembers_database)
}

/// Notes that the session remembers its database.
#[cfg(feature = "mysql_backend")]
pub(super) fn remembers_database<C: Connection>(connection: &mut C) {
    if let Some(watch) = watch_on(connection) {
        watch.remembers_database = true;
    }
}

/// Runs statements of the library that name the database but select none, so that they do not count
/// as selecting one.
#[cfg(feature = "mysql_backend")]
pub(super) fn naming_database<C: Connection, R>(
    connection: &mut C,
    run: impl FnOnce(&mut C) -> R,
) -> R {
    let pause = |connection: &mut C, is_paused| {
        watch_on(connection).is_some_and(|watch| std::mem::replace(&mut watch.is_paused, is_paused))
    };
    let was_paused = pause(connection, true);
    let result = run(connection);
    pause(connection, was_paused);
    result
}

/// Returns the events that were noticed since they were last forgotten; `None` if there is no
/// active watch.
pub(super) fn noticed<C: Connection>(connection: &mut C) -> Option<&Noticed> {
    let watch = watch_on(connection)?;
    watch.armed_at.is_some().then_some(&watch.noticed)
}

/// Forgets the noticed events, unless an outer transaction needs them, too.
pub(super) fn forget<C: Connection>(connection: &mut C, open: usize) {
    if let Some(watch) = watch_on(connection)
        && watch.armed_at == Some(open)
    {
        watch.noticed = Noticed::default();
    }
}

/// Ends the watch, unless an outer transaction is guarded, too.
pub(super) fn disarm<C: Connection>(connection: &mut C, open: usize) {
    if let Some(watch) = watch_on(connection)
        && watch.armed_at == Some(open)
    {
        watch.armed_at = None;
    }
}

/// Runs statements of the library, all of which leave a transaction as it is unless one fails. The
/// watch does not inspect them one by one, because inspecting a large batch takes a tenth of the
/// time of its insertion.
pub(super) fn unwatched<C: Connection, T>(
    connection: &mut C,
    run: impl FnOnce(&mut C) -> Result<T, Error>,
) -> Result<T, Error> {
    let Some(watch) = watch_on(connection) else {
        return run(connection);
    };
    watch.is_paused = true;
    let armed_at = watch.armed_at.take();
    if !watch.noticed.is_nothing() {
        watch.noticed.is_rolled_back = false;
    }
    let result = run(connection);
    if let Some(watch) = watch_on(connection) {
        watch.is_paused = false;
        watch.armed_at = armed_at;
        if armed_at.is_some()
            && let Err(error) = &result
        {
            watch.noticed.add(format!("{error:#}"), true);
        }
    }
    result
}

fn is_violation(error: &DieselError) -> bool {
    use DatabaseErrorKind as Kind;

    matches!(
        error,
        DieselError::DatabaseError(
            Kind::UniqueViolation
                | Kind::ForeignKeyViolation
                | Kind::NotNullViolation
                | Kind::CheckViolation,
            _
        )
    )
}

fn watch_on<C: Connection>(connection: &mut C) -> Option<&mut StatementWatch> {
    connection.instrumentation().downcast_mut()
}

/// Returns the instrumentation that a watch must call if it replaces the present one; `None` if the
/// present one must stay.
fn replaceable(there: &dyn Instrumentation) -> Option<Option<Box<dyn Instrumentation>>> {
    let default = get_default_instrumentation();
    if let Some(default) = default
        && default.as_any().type_id() == there.as_any().type_id()
    {
        return Some(Some(default));
    }
    (size_of_val(there) == 0).then_some(None)
}

fn may_select_database(query: &dyn DebugQuery) -> bool {
    let mut may = false;
    read(query, &mut |sql| may = verb::may_select_database(sql));
    may
}

fn verb_of(query: &dyn DebugQuery) -> Verb {
    let mut verb = Verb::Unusual;
    read(query, &mut |sql| verb = Verb::of(sql));
    verb
}

/// Returns the beginning of a statement, for people. The values are left out.
fn beginning_of(query: &dyn DebugQuery) -> String {
    let mut text = String::new();
    read(query, &mut |sql| {
        let words = sql.split_whitespace().flat_map(|word| [" ", word]).skip(1);
        text.extend(words.flat_map(str::chars).take(MAX_STATEMENT));
    });
    text
}

/// Passes the SQL of a statement to `take`.
fn read(query: &dyn DebugQuery, take: &mut dyn FnMut(&str)) {
    // The first piece is the SQL. The writer fails after it, so the values are not even formatted.
    let _cut = write!(FirstPiece(take), "{query}");
}

struct FirstPiece<'a>(&'a mut dyn FnMut(&str));

impl Write for FirstPiece<'_> {
    fn write_str(&mut self, sql: &str) -> fmt::Result {
        (self.0)(sql);
        Err(fmt::Error)
    }
}
