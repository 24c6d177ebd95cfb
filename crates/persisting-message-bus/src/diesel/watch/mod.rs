//! What a connection's statements may have done to the transaction that they ran in, told without asking
//! the database.
//!
//! A statement that has succeeded, and is a plain SELECT, INSERT, UPDATE or DELETE, leaves a transaction
//! as it is, on every database. After another one, and after one that failed, the database is asked.
//! So only those pay who run such statements.
//!
//! On SQLite, Diesel does not report the errors of statements whose rows are loaded (`get_result`, `load`). So
//! there the database is asked after each statement that writes and has a RETURNING clause, too, and once at
//! the end of each transaction.

mod verb;

use std::fmt::{self, Write};
use std::mem::size_of_val;

use diesel::connection::{
    Connection, DebugQuery, Instrumentation, InstrumentationEvent, get_default_instrumentation,
};
use diesel::result::{DatabaseErrorKind, Error as DieselError};

use self::verb::Verb;
use super::backend::Failing;
use super::class::class_of_cause;
use crate::Error;
use crate::error::class::Class;
use crate::transactions::UNKNOWN_CAUSE;

/// Watches the statements of a connection, for the consumers that work on it.
///
/// A consumer puts one on each connection on which it calls a transactional handler, where there is no
/// [`Instrumentation`], or only Diesel's default one, which goes on being told. A connection that has an
/// instrumentation of its own keeps it: there, each message costs a round trip more, unless it is put
/// into a watch. An instrumentation that holds nothing, such as a closure that captures nothing, cannot be
/// told from none: put it into a watch, too.
///
/// ```
/// use diesel::connection::InstrumentationEvent;
/// use diesel::{Connection, SqliteConnection};
/// use persisting_message_bus::diesel::StatementWatch;
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
}

/// What was seen since it was asked for last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Noticed {
    /// The statements that may have ended the transaction, with their errors.
    causes: Vec<String>,
    /// Whether one of them says that it ends or begins a transaction.
    pub(super) is_ended: bool,
    /// Whether the connection was lost.
    pub(super) is_lost: bool,
    /// Whether nothing is final of a transaction that is over: the first of them made the database roll
    /// back, and no statement that came after it has changed anything.
    pub(super) is_rolled_back: bool,
}

/// How many statements are remembered.
const MOST_CAUSES: usize = 3;

/// How much of a statement is.
const LONGEST_STATEMENT: usize = 120;

impl StatementWatch {
    /// A watch that tells another instrumentation everything that it is told.
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
        self.noticed.is_lost |= class_of_cause(error) == Class::Disconnected;
        // The begin of this one was noticed, if it is no plain one.
        if self.noticed.causes.last() == Some(&text) {
            self.noticed.causes.pop();
        }
        let cause = format!("{text}: {error}");
        self.noticed.add(cause, verb < Verb::Unusual);
    }

    /// After the transaction was rolled back, what a statement writes takes effect at once.
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
        if self.causes.len() < MOST_CAUSES {
            self.causes.push(cause);
        }
    }

    pub(super) fn is_nothing(&self) -> bool {
        self.causes.is_empty()
    }

    /// The statements, for an error.
    pub(super) fn cause(&self) -> String {
        if self.causes.is_empty() {
            return UNKNOWN_CAUSE.to_owned();
        }
        self.causes.join("; then ")
    }
}

/// From now on, statements are watched, of the transaction in which so many are open; says whether they
/// are. It may be in another one that is watched: then they are watched for both.
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
        noticed: Noticed::default(),
    });
    true
}

/// What was noticed since it was forgotten last; `None` where there is no watch.
pub(super) fn noticed<C: Connection>(connection: &mut C) -> Option<&Noticed> {
    let watch = watch_on(connection)?;
    watch.armed_at.is_some().then_some(&watch.noticed)
}

/// Forgets what was noticed, unless a transaction around this one wants to know it, too.
pub(super) fn forget<C: Connection>(connection: &mut C, open: usize) {
    if let Some(watch) = watch_on(connection)
        && watch.armed_at == Some(open)
    {
        watch.noticed = Noticed::default();
    }
}

/// Ends the watch, unless a transaction around this one is guarded, too.
pub(super) fn disarm<C: Connection>(connection: &mut C, open: usize) {
    if let Some(watch) = watch_on(connection)
        && watch.armed_at == Some(open)
    {
        watch.armed_at = None;
    }
}

/// Runs statements of the library, all of which leave a transaction as it is unless one fails. They are not
/// watched one by one: to look at a large batch takes a tenth of the time in which it is inserted.
pub(super) fn unwatched<C: Connection, T>(
    connection: &mut C,
    run: impl FnOnce(&mut C) -> Result<T, Error>,
) -> Result<T, Error> {
    let watch = watch_on(connection);
    let Some((watch, armed_at)) = watch.and_then(|watch| {
        let armed_at = watch.armed_at.take()?;
        Some((watch, armed_at))
    }) else {
        return run(connection);
    };
    if !watch.noticed.is_nothing() {
        watch.noticed.is_rolled_back = false;
    }
    let result = run(connection);
    if let Some(watch) = watch_on(connection) {
        watch.armed_at = Some(armed_at);
        if let Err(error) = &result {
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

/// What stands for an instrumentation when a watch takes its place; `None` where it has to stay.
fn replaceable(there: &dyn Instrumentation) -> Option<Option<Box<dyn Instrumentation>>> {
    let default = get_default_instrumentation();
    if let Some(default) = default
        && default.as_any().type_id() == there.as_any().type_id()
    {
        return Some(Some(default));
    }
    (size_of_val(there) == 0).then_some(None)
}

fn verb_of(query: &dyn DebugQuery) -> Verb {
    let mut verb = Verb::Unusual;
    read(query, &mut |sql| verb = Verb::of(sql));
    verb
}

/// A statement, for people. Its values are not written.
fn beginning_of(query: &dyn DebugQuery) -> String {
    let mut text = String::new();
    read(query, &mut |sql| {
        let words = sql.split_whitespace().flat_map(|word| [" ", word]).skip(1);
        text.extend(words.flat_map(str::chars).take(LONGEST_STATEMENT));
    });
    text
}

/// Takes the SQL of a statement through `take`.
fn read(query: &dyn DebugQuery, take: &mut dyn FnMut(&str)) {
    // The values come after it, and are not even written.
    let _cut = write!(FirstPiece(take), "{query}");
}

struct FirstPiece<'a>(&'a mut dyn FnMut(&str));

impl Write for FirstPiece<'_> {
    fn write_str(&mut self, sql: &str) -> fmt::Result {
        (self.0)(sql);
        Err(fmt::Error)
    }
}
