use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use diesel::PgConnection;
use diesel::connection::SimpleConnection;
use tracing::warn;

use super::Notifications;
use crate::retry::up_to;
use crate::runner::Signals;

/// Tells listeners that something was published.
///
/// When it is dropped, it sends what is pending, and waits until that is done or has failed.
#[derive(Debug)]
pub struct Notifier {
    signals: Arc<Signals>,
    thread: Option<JoinHandle<()>>,
}

impl Notifier {
    pub(super) fn start(
        settings: Notifications,
        connect: impl Fn() -> Option<PgConnection> + Send + 'static,
    ) -> Self {
        let signals = Arc::<Signals>::default();
        let seen = Arc::clone(&signals);
        let thread = thread::spawn(move || notify(&settings, &connect, &seen));
        Self {
            signals,
            thread: Some(thread),
        }
    }

    /// There is something new. Returns at once: the thread of the notifier says so.
    ///
    /// Call it behind the commit: before it, there is nothing to be seen.
    pub fn notify(&self) {
        self.signals.nudge();
    }
}

impl Drop for Notifier {
    fn drop(&mut self) {
        self.signals.stop();
        if let Some(thread) = self.thread.take() {
            // If making a connection has panicked, polling is left.
            drop(thread.join());
        }
    }
}

/// Sends until the end what is pending.
fn notify(settings: &Notifications, connect: &dyn Fn() -> Option<PgConnection>, signals: &Signals) {
    let statement = settings.statement("NOTIFY");
    let mut connection = None;
    let (mut sent, mut failures) = (0, 0_u32);
    loop {
        signals.wait(Duration::MAX, Some(sent));
        // Whatever comes before the end is pending here.
        let is_last = signals.is_stopping();
        let pending = signals.nudges();
        let begun = Instant::now();
        let mut pause = settings.notify_interval;
        if pending != sent {
            if send(&statement, &mut connection, connect) {
                (sent, failures) = (pending, 0);
                pause = pause.saturating_sub(begun.elapsed());
            } else {
                failures = failures.saturating_add(1);
                warn!(failures, "could not notify of messages, trying again");
                pause = up_to(settings.retry.longest_after(failures));
            }
        }
        if is_last {
            return;
        }
        signals.wait(pause, None);
    }
}

/// Whether it could be sent: on the connection there is, if it is not lost, or on a new one.
fn send(
    statement: &str,
    connection: &mut Option<PgConnection>,
    connect: &dyn Fn() -> Option<PgConnection>,
) -> bool {
    let open = connection.take();
    [open, None].into_iter().any(|open| {
        let Some(mut open) = open.or_else(connect) else {
            return false;
        };
        let sent = open.batch_execute(statement).is_ok();
        *connection = sent.then_some(open);
        sent
    })
}
