//! How consumers wait for the file's write lock.
//!
//! SQLite's own wait (`busy_timeout`) tries again after 1, 2, 5, ... and at last after each 100 ms.
//! Beside publishers that never pause, the lock is free for less than a millisecond at a time. A
//! consumer that waits like this gets it after seconds (p50 0.8 to 4.8 s). If it tries every
//! millisecond, it gets the lock after some tens of milliseconds, and no publisher becomes slower.
//!
//! The busy timeout of the connection belongs to the application. It is read and set to zero for one
//! write of the library, and then set back. That costs three statements without a round trip, so it
//! is done for the first write of a thread, and then only where other connections have recently
//! written.

use std::cell::Cell;
use std::error::Error as StdError;
use std::iter::successors;
use std::thread;
use std::time::{Duration, Instant};

use diesel::connection::LoadConnection;
use diesel::result::Error as DieselError;
use diesel::sqlite::Sqlite;
use tracing::warn;

use crate::error::Error;
use crate::sql::dialect::{Statement, Value};
use crate::sql::error::failed_while;
use crate::sql::executor::on_sync::OnSync;
use crate::sql::own_transactions::{abandon, depth};
use crate::sql::rows::first_row;
use crate::sql::schema::TableSchema;
use crate::sql::watch::connections::Unwatched;

/// How often the lock is tried.
const PAUSE: Duration = Duration::from_millis(1);

/// A write that takes longer has probably waited for another writer. Disks are rarely so slow.
const SHORT: Duration = Duration::from_millis(100);

/// How long the thread remembers a commit of another connection, and a wait for one.
const RECENT: Duration = Duration::from_secs(1);
const LONG_AGO: Duration = Duration::from_secs(10);

/// What a thread knows of other writers. A consumer has a thread and a connection of its own. Other
/// threads only lose or save some statements.
#[derive(Debug, Clone, Copy, Default)]
struct Traffic {
    token: Option<i64>,
    committed_at: Option<Instant>,
    waited_at: Option<Instant>,
    /// Whether the thread has written before. The first write can meet other writers of which the
    /// thread cannot know, so it counts as one of a contended file.
    has_written: bool,
}

thread_local! {
    static TRAFFIC: Cell<Traffic> = const {
        Cell::new(Traffic {
            token: None,
            committed_at: None,
            waited_at: None,
            has_written: false,
        })
    };
}

/// Notes a change token, which changes when another connection has committed.
pub(super) fn note_token(token: Option<i64>) {
    let mut traffic = TRAFFIC.get();
    if traffic.token.is_some() && traffic.token != token {
        traffic.committed_at = Some(Instant::now());
    }
    traffic.token = token;
    TRAFFIC.set(traffic);
}

fn note_write() {
    TRAFFIC.set(Traffic {
        has_written: true,
        ..TRAFFIC.get()
    });
}

fn note_wait() {
    let waited_at = Some(Instant::now());
    TRAFFIC.set(Traffic {
        waited_at,
        ..TRAFFIC.get()
    });
}

/// Returns whether other writers may hold the lock.
fn is_contended() -> bool {
    let traffic = TRAFFIC.get();
    let within = |at: Option<Instant>, time| at.is_some_and(|at| at.elapsed() < time);
    !traffic.has_written
        || within(traffic.committed_at, RECENT)
        || within(traffic.waited_at, LONG_AGO)
}

/// Runs a write of the library, which is repeated while another connection holds the lock. In a
/// transaction, only its first statement can be repeated. After a statement that has read, SQLite
/// refuses the write for good.
pub(super) fn write<C, R>(
    connection: &mut C,
    is_first: bool,
    mut write: impl FnMut(&mut C) -> Result<R, Error>,
) -> Result<R, Error>
where
    C: LoadConnection<Backend = Sqlite> + 'static,
{
    match depth(&mut OnSync(connection)) {
        0 => write_outside(connection, write),
        // The watch would notice the refused attempts as failures of the transaction.
        1 if is_first => {
            let executor = &mut OnSync(connection);
            let unwatched = Unwatched::new(executor);
            let written = write_outside(&mut *unwatched.executor.0, write);
            unwatched.end(&written);
            written
        }
        _ => write(connection),
    }
}

fn write_outside<C, R>(
    connection: &mut C,
    mut write: impl FnMut(&mut C) -> Result<R, Error>,
) -> Result<R, Error>
where
    C: LoadConnection<Backend = Sqlite> + 'static,
{
    let begun = Instant::now();
    if !is_contended() {
        let written = write(connection);
        if begun.elapsed() > SHORT {
            note_wait();
        }
        return written;
    }
    note_write();
    let patience = busy_timeout(connection)?;
    let unhurried = WithoutTimeout::begin(connection, patience)?;
    loop {
        match write(unhurried.connection) {
            Err(error) if is_locked(&error) && begun.elapsed() < patience => {
                note_wait();
                thread::sleep(PAUSE);
            }
            written => return written,
        }
    }
}

/// Returns the timeout that the application has set. A prepared `PRAGMA` returns the value at the
/// time of its preparation. The function of the same name would begin to read in a transaction,
/// which could then not write after another connection.
fn busy_timeout<C>(connection: &mut C) -> Result<Duration, Error>
where
    C: LoadConnection<Backend = Sqlite> + 'static,
{
    let table = &TableSchema::DEFAULT.messages;
    let statement = Statement::<Value<'_>>::new("PRAGMA busy_timeout", table, []);
    let timeout = first_row(connection, statement.unprepared(), |[timeout]| {
        timeout.integer("timeout")
    });
    let timeout = timeout.map_err(|cause| failed_while("reading the busy timeout", cause))?;
    Ok(Duration::from_millis(timeout.unwrap_or(0).unsigned_abs()))
}

/// A connection that does not wait for locks. The timeout is set back at the end, also of a panic.
struct WithoutTimeout<'a, C: LoadConnection<Backend = Sqlite> + 'static> {
    connection: &'a mut C,
    timeout: Duration,
}

impl<'a, C: LoadConnection<Backend = Sqlite> + 'static> WithoutTimeout<'a, C> {
    fn begin(connection: &'a mut C, timeout: Duration) -> Result<Self, Error> {
        set_timeout(connection, Duration::ZERO)?;
        Ok(Self {
            connection,
            timeout,
        })
    }
}

impl<C: LoadConnection<Backend = Sqlite> + 'static> Drop for WithoutTimeout<'_, C> {
    fn drop(&mut self) {
        if let Err(error) = set_timeout(self.connection, self.timeout) {
            warn!(error = %format_args!("{error:#}"), "busy timeout not set back");
            abandon(&mut OnSync(self.connection));
        }
    }
}

fn set_timeout<C>(connection: &mut C, timeout: Duration) -> Result<(), Error>
where
    C: LoadConnection<Backend = Sqlite> + 'static,
{
    let set = format!("PRAGMA busy_timeout = {}", timeout.as_millis());
    connection
        .batch_execute(&set)
        .map_err(|cause| failed_while("setting the busy timeout", cause))
}

/// Returns whether another connection held the lock, so that nothing has taken effect.
fn is_locked(error: &Error) -> bool {
    let causes = successors(error.source(), |cause: &&(dyn StdError + 'static)| {
        (*cause).source()
    });
    let mut causes = causes.filter_map(|cause| cause.downcast_ref::<DieselError>());
    causes.any(|cause| match cause {
        DieselError::DatabaseError(_, information) => information.message() == "database is locked",
        _ => false,
    })
}
