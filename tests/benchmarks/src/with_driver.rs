//! The driver of each database, with which the library is compared. Measuring only the library does
//! not need it.

use benchmark_rows::Way;
use benchmark_rows::backends::{BUSY_TIMEOUT, Backend, Mariadb, Postgres, Sqlite};
use benchmark_rows::publish::Publishers;
use diesel::connection::SimpleConnection;
use diesel::dsl::sql;
use diesel::sql_types::Text;
use diesel::{Connection, PgConnection, RunQueryDsl};
use diesel_async::{AsyncMysqlConnection, AsyncPgConnection};
use persisting_message_bus::Waker;
use persisting_message_bus::sql::postgres::Notifications;

use crate::publish::in_tasks;
use crate::raw::RawDriver;
use crate::{Failure, raw};

/// Locks that are held until this is dropped.
pub struct ForeignLocks {
    /// The id of the server's first process.
    pub server: u32,
    _holder: PgConnection,
}

/// A database with a connection of its driver.
pub trait WithDriver: Backend {
    /// The maximum number of publishers. More would only wait for each other.
    const MOST_PUBLISHERS: usize = 64;

    /// The number of hand-written publishers with which group commits are compared, and their way.
    const PLAIN_PUBLISHERS: usize = 16;
    const PLAIN: &'static str = "16 connections, autocommit";

    /// Limits the time of each statement of a session. SQLite cannot do that.
    const STATEMENTS_END_AFTER_100_MS: &str = "";

    type Raw: RawDriver;

    fn connect_raw(url: &str) -> Result<Self::Raw, Failure>;

    /// Whether there are async connections. Those of SQLite are sync ones on other threads.
    const HAS_ASYNC_CONNECTIONS: bool = false;

    /// Returns the way to publish in tasks. Called only if `HAS_ASYNC_CONNECTIONS` is true.
    fn publish_in_tasks(_url: &str, _of: Publishers) -> Result<Way, Failure> {
        Err("there are no async connections".into())
    }

    /// Takes locks that have nothing to do with the library, as a program with many tables would.
    /// Returns `None` for a database whose readers read no locks.
    fn hold_locks(_url: &str, _locks: usize) -> Result<Option<ForeignLocks>, Failure> {
        Ok(None)
    }

    /// Whether publishers can wake consumers in other processes through the database.
    const NOTIFIES: bool = false;

    /// Returns a closure that wakes the consumers of this waker through the database. Called only
    /// if `NOTIFIES` is true.
    fn notification(_url: &str, waker: Waker) -> Box<dyn Fn()> {
        Box::new(move || waker.wake())
    }
}

impl<const FULL: bool> WithDriver for Sqlite<FULL> {
    const MOST_PUBLISHERS: usize = 16;

    const PLAIN_PUBLISHERS: usize = 1;
    const PLAIN: &'static str = "1 connection, autocommit";

    type Raw = raw::Sqlite;

    fn connect_raw(url: &str) -> Result<raw::Sqlite, Failure> {
        let synchronous = if FULL { "FULL" } else { "NORMAL" };
        raw::Sqlite::connect(url, synchronous, BUSY_TIMEOUT)
    }
}

impl WithDriver for Postgres {
    const STATEMENTS_END_AFTER_100_MS: &str = "SET statement_timeout = '100ms'";

    type Raw = raw::Postgres;

    fn connect_raw(url: &str) -> Result<raw::Postgres, Failure> {
        raw::Postgres::connect(url)
    }

    const HAS_ASYNC_CONNECTIONS: bool = true;

    fn publish_in_tasks(url: &str, of: Publishers) -> Result<Way, Failure> {
        in_tasks::<AsyncPgConnection>(url, of)
    }

    fn hold_locks(url: &str, locks: usize) -> Result<Option<ForeignLocks>, Failure> {
        let mut holder = PgConnection::establish(url)?;
        // The first process writes its id into the first line of this file.
        let file = "SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)";
        let server: String = sql::<Text>(file).get_result(&mut holder)?;
        holder.batch_execute(&format!(
            "BEGIN; SELECT count(pg_advisory_xact_lock_shared(7, number))
            FROM generate_series(1, {locks}) AS number"
        ))?;
        Ok(Some(ForeignLocks {
            server: server.parse()?,
            _holder: holder,
        }))
    }

    const NOTIFIES: bool = true;

    fn notification(url: &str, waker: Waker) -> Box<dyn Fn()> {
        let connector = |url: &str| {
            let url = url.to_owned();
            move || PgConnection::establish(&url)
        };
        let listener = Notifications::default().listener(connector(url), waker);
        let notifier = Notifications::default().notifier(connector(url));
        Box::new(move || {
            // The closure owns the listener, which must live as long as the notifier.
            let _listening = &listener;
            notifier.notify();
        })
    }
}

impl WithDriver for Mariadb {
    const STATEMENTS_END_AFTER_100_MS: &str = "SET max_statement_time = 0.1";

    type Raw = raw::Mariadb;

    /// Connects through the port, as the library does.
    fn connect_raw(url: &str) -> Result<raw::Mariadb, Failure> {
        raw::Mariadb::connect(&format!("{url}?prefer_socket=false"))
    }

    const HAS_ASYNC_CONNECTIONS: bool = true;

    fn publish_in_tasks(url: &str, of: Publishers) -> Result<Way, Failure> {
        in_tasks::<AsyncMysqlConnection>(&format!("{url}?prefer_socket=false"), of)
    }
}
