//! What the library is compared with on each database, which the library alone does without.

use benchmark_rows::backends::{BUSY_TIMEOUT, Backend, Mariadb, Postgres, Sqlite};
use diesel::{Connection, PgConnection};
use persisting_message_bus::Nudge;
use persisting_message_bus::diesel::postgres::Notifications;

use crate::raw::RawDriver;
use crate::{Failure, raw};

/// A database with the way of its driver.
pub trait WithDriver: Backend {
    /// More publishers only wait for each other.
    const MOST_PUBLISHERS: usize = 64;

    /// How many publishers by hand those that share commits are compared with, and what these do.
    const PLAIN_PUBLISHERS: usize = 16;
    const PLAIN: &'static str = "16 connections, autocommit";

    type Raw: RawDriver;

    fn connect_raw(url: &str) -> Result<Self::Raw, Failure>;

    /// Whether publishers can wake consumers in other processes.
    const NOTIFIES: bool = false;

    /// Wakes those that have this nudge, each time it is called. Only where that is possible.
    fn notification(_url: &str, nudge: Nudge) -> Box<dyn Fn()> {
        Box::new(move || nudge.nudge())
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
    type Raw = raw::Postgres;

    fn connect_raw(url: &str) -> Result<raw::Postgres, Failure> {
        raw::Postgres::connect(url)
    }

    const NOTIFIES: bool = true;

    fn notification(url: &str, nudge: Nudge) -> Box<dyn Fn()> {
        let connector = |url: &str| {
            let url = url.to_owned();
            move || PgConnection::establish(&url)
        };
        let listener = Notifications::default().listener(connector(url), nudge);
        let notifier = Notifications::default().notifier(connector(url));
        Box::new(move || {
            // It listens as long as somebody notifies.
            let _listening = &listener;
            notifier.notify();
        })
    }
}

impl WithDriver for Mariadb {
    type Raw = raw::Mariadb;

    /// Over the port, as the library.
    fn connect_raw(url: &str) -> Result<raw::Mariadb, Failure> {
        raw::Mariadb::connect(&format!("{url}?prefer_socket=false"))
    }
}
