use std::sync::Arc;
use std::thread;
use std::time::Instant;

use diesel::PgConnection;
use diesel::connection::SimpleConnection;
use diesel::result::QueryResult;
use tracing::warn;

use super::Notifications;
use crate::Nudge;
use crate::retry::up_to;
use crate::runner::Signals;

/// Nudges a runner when a [`Notifier`](super::Notifier) says that there is something new.
///
/// When it is dropped, it ends, and is not waited for.
#[derive(Debug)]
pub struct Listener {
    signals: Arc<Signals>,
}

impl Listener {
    pub(super) fn start(
        settings: Notifications,
        connect: impl Fn() -> Option<PgConnection> + Send + 'static,
        nudge: Nudge,
    ) -> Self {
        let signals = Arc::<Signals>::default();
        let seen = Arc::clone(&signals);
        thread::spawn(move || listen(&settings, &connect, &nudge, &seen));
        Self { signals }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.signals.stop();
    }
}

/// Listens until the end, on one connection after the other.
fn listen(
    settings: &Notifications,
    connect: &dyn Fn() -> Option<PgConnection>,
    nudge: &Nudge,
    signals: &Signals,
) {
    let statement = settings.statement("LISTEN");
    let mut failures = 0_u32;
    while !signals.is_stopping() {
        failures = failures.saturating_add(1);
        if let Some(mut connection) = connect()
            && connection.batch_execute(&statement).is_ok()
        {
            failures = 1;
            // What was notified before is missed.
            nudge.nudge();
            let mut come = Instant::now();
            while !signals.is_stopping() {
                match has_come(&mut connection) {
                    Ok(true) => {
                        nudge.nudge();
                        come = Instant::now();
                    }
                    Ok(false) => signals.wait(settings.poll_after(come.elapsed()), None),
                    Err(_) => break,
                }
            }
        }
        if !signals.is_stopping() {
            warn!(failures, "lost what listens for messages, connecting again");
        }
        signals.wait(up_to(settings.retry.longest_after(failures)), None);
    }
}

/// Whether something has come: takes it from the socket, and runs no statement.
fn has_come(connection: &mut PgConnection) -> QueryResult<bool> {
    let mut come = false;
    for notification in connection.notifications_iter() {
        notification?;
        come = true;
    }
    Ok(come)
}
