use std::sync::Arc;
use std::thread;
use std::time::Instant;

use diesel::PgConnection;
use diesel::result::QueryResult;
use tracing::warn;

use crate::backoff::full_jitter;
use crate::panics::catch;
use crate::signals::Signals;
use crate::signals::Waker;
use crate::sql::postgres::notifications::connection::Connections;
use crate::sql::postgres::notifications::settings::Notifications;

/// Wakes a runner when a [`Notifier`](super::Notifier) announces new messages.
///
/// When the listener is dropped, its thread ends. The drop does not wait for that.
#[derive(Debug)]
pub struct Listener {
    signals: Arc<Signals>,
}

impl Notifications {
    /// Starts a listener that wakes a runner. The listener has a thread of its own, and a
    /// connection of its own that `connect` makes.
    ///
    /// The connection must lead to the server itself, because a pooler in transaction mode does not
    /// deliver notifications.
    #[must_use = "the listener ends when it is dropped"]
    pub fn listener<E>(
        &self,
        connect: impl Fn() -> Result<PgConnection, E> + Send + Sync + 'static,
        waker: Waker,
    ) -> Listener {
        Listener::start(
            self.clone(),
            move || catch(|| connect().ok()).ok().flatten(),
            waker,
        )
    }
}

impl Listener {
    pub(super) fn start(
        settings: Notifications,
        connect: impl Fn() -> Option<PgConnection> + Send + Sync + 'static,
        waker: Waker,
    ) -> Self {
        let signals = Arc::<Signals>::default();
        let seen = Arc::clone(&signals);
        let connections = Connections::new(Arc::new(connect), settings.answer_timeout);
        thread::spawn(move || listen(&settings, &connections, &waker, &seen));
        Self { signals }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.signals.stop();
    }
}

/// Listens until the listener is dropped, on one connection after the other.
fn listen(settings: &Notifications, connections: &Connections, waker: &Waker, signals: &Signals) {
    let statement = settings.statement("LISTEN");
    let mut failures = 0_u32;
    while !signals.is_stopping() {
        failures = failures.saturating_add(1);
        let mut connected = connections.run(None, &statement, signals);
        while let Some(connection) = connected {
            failures = 1;
            // Earlier notifications were missed, or can have been.
            waker.wake();
            let silent = listen_on(connection, settings, waker, signals);
            // The repeated statement changes nothing, and finds out whether the connection works.
            connected =
                silent.and_then(|silent| connections.run(Some(silent), &statement, signals));
        }
        if !signals.is_stopping() {
            warn!(
                failures,
                "notification listener lost its connection, reconnecting"
            );
        }
        signals.wait(
            full_jitter(settings.backoff.max_delay_after(failures)),
            None,
        );
    }
}

/// Listens on a connection. Returns it when no notification has come for so long that it may be cut
/// without notice. Returns `None` when it is lost, or at a stop.
fn listen_on(
    mut connection: PgConnection,
    settings: &Notifications,
    waker: &Waker,
    signals: &Signals,
) -> Option<PgConnection> {
    let mut come = Instant::now();
    while !signals.is_stopping() {
        match has_passed(&mut connection) {
            Ok(true) => {
                waker.wake();
                come = Instant::now();
            }
            Ok(false) if come.elapsed() > settings.answer_timeout => return Some(connection),
            Ok(false) => signals.wait(settings.poll_after(come.elapsed()), None),
            Err(_) => return None,
        }
    }
    None
}

/// Returns `true` if a notification has come. Takes it from the socket, and runs no statement.
fn has_passed(connection: &mut PgConnection) -> QueryResult<bool> {
    let mut come = false;
    for notification in connection.notifications_iter() {
        notification?;
        come = true;
    }
    Ok(come)
}
