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

pub(crate) mod connections;
pub(crate) mod verb;

use std::fmt::{self, Write};
use std::mem::size_of_val;

use diesel::connection::{
    DebugQuery, Instrumentation, InstrumentationEvent, get_default_instrumentation,
};
use diesel::result::{DatabaseErrorKind, Error as DieselError};

use crate::classify::chain::class_of_cause;
use crate::sql::failing::Failing;
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
    /// Whether prepared statements may be of no use: a statement may have selected another database.
    has_stale_statements: bool,
    /// Whether a statement has failed.
    has_failed_statements: bool,
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

    /// Returns the watch as it replaces another instrumentation, which it then calls; `None` if the
    /// other one must stay.
    pub(super) fn in_place_of(self, there: &dyn Instrumentation) -> Option<Self> {
        replaceable(there).map(|inner| Self { inner, ..self })
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
            match &event {
                InstrumentationEvent::StartQuery { query, .. } => {
                    let may_select = may_select_database(*query);
                    self.remembers_database &= !may_select;
                    self.has_stale_statements |= may_select;
                }
                InstrumentationEvent::FinishQuery {
                    error: Some(error), ..
                } => self.has_failed_statements |= !is_violation(error),
                _ => {}
            }
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

/// Returns the watch that an instrumentation is.
pub(super) fn of(instrumentation: &mut dyn Instrumentation) -> Option<&mut StatementWatch> {
    instrumentation.downcast_mut()
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
