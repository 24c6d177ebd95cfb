//! A connection whose calls end in time, or are given up.

use std::sync::Arc;
use std::time::Duration;

use diesel::PgConnection;
use diesel::connection::SimpleConnection;

use crate::bounded::BoundedCalls;
use crate::signals::Signals;

/// Opens a connection; `None` if that failed.
pub(super) type Connect = dyn Fn() -> Option<PgConnection> + Send + Sync;

/// Opens connections and runs statements on them, each within a limited time.
pub(super) struct Connections {
    connect: Arc<Connect>,
    calls: BoundedCalls,
}

impl Connections {
    pub(super) fn new(connect: Arc<Connect>, timeout: Duration) -> Self {
        Self {
            connect,
            calls: BoundedCalls::new(timeout),
        }
    }

    /// Runs a statement, on a new connection if there is none. Returns the connection if it has
    /// succeeded in time. Returns `None` at a stop.
    pub(super) fn run(
        &self,
        open: Option<PgConnection>,
        statement: &str,
        signals: &Signals,
    ) -> Option<PgConnection> {
        let (connect, statement) = (Arc::clone(&self.connect), statement.to_owned());
        let call = move || {
            let mut connection = open.or_else(|| connect())?;
            let is_done = connection.batch_execute(&statement).is_ok();
            is_done.then_some(connection)
        };
        self.calls.run(signals, call).ok().flatten()
    }
}
