use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use diesel::PgConnection;
use tracing::warn;

use crate::backoff::full_jitter;
use crate::locks::unpoisoned;
use crate::panics::catch;
use crate::signals::Signals;
use crate::sql::postgres::notifications::connection::Connections;
use crate::sql::postgres::notifications::settings::Notifications;

/// Announces to listeners that something was published.
///
/// When the notifier is dropped, it sends the pending notification. The drop waits until that is
/// done or has failed, but at most 5 seconds. Then a connection does not answer, and its thread goes
/// on without the notifier until the connection times out or the process ends.
#[derive(Debug)]
pub struct Notifier {
    signals: Arc<Signals>,
    thread: Option<JoinHandle<()>>,
    /// Disconnected when the thread has ended. The lock is never taken; it makes the notifier `Sync`.
    ended: Mutex<Receiver<()>>,
    patience: Duration,
}

/// How long a drop waits for the thread.
const PATIENCE: Duration = Duration::from_secs(5);

impl Notifications {
    /// Starts a notifier. It has a thread of its own, and a connection of its own that `connect`
    /// makes.
    #[must_use = "the notifier ends when it is dropped"]
    pub fn notifier<E>(
        &self,
        connect: impl Fn() -> Result<PgConnection, E> + Send + Sync + 'static,
    ) -> Notifier {
        Notifier::start(self.clone(), move || {
            catch(|| connect().ok()).ok().flatten()
        })
    }
}

impl Notifier {
    pub(super) fn start(
        settings: Notifications,
        connect: impl Fn() -> Option<PgConnection> + Send + Sync + 'static,
    ) -> Self {
        let signals = Arc::<Signals>::default();
        let seen = Arc::clone(&signals);
        let (ends, ended) = mpsc::channel();
        let connections = Connections::new(Arc::new(connect), settings.answer_timeout);
        let thread = thread::spawn(move || {
            // Dropped at the end, also by a panic.
            let _ends: Sender<()> = ends;
            notify(&settings, &connections, &seen);
        });
        Self {
            signals,
            thread: Some(thread),
            ended: Mutex::new(ended),
            patience: PATIENCE,
        }
    }

    /// Announces new messages. Returns at once: the notifier's thread sends the notification.
    ///
    /// Call it after the commit, because the messages are not visible before the commit.
    pub fn notify(&self) {
        self.signals.wake();
    }
}

impl Drop for Notifier {
    fn drop(&mut self) {
        self.signals.stop();
        let ended = unpoisoned(self.ended.get_mut()).recv_timeout(self.patience);
        if ended == Err(RecvTimeoutError::Timeout) {
            warn!(
                waited_ms = self.patience.as_millis(),
                "notifier dropped while its connection did not answer, so a notification can be lost"
            );
            return;
        }
        if let Some(thread) = self.thread.take() {
            // If making a connection has panicked, consumers still find the messages by polling.
            drop(thread.join());
        }
    }
}

/// Sends pending notifications until the notifier is dropped.
fn notify(settings: &Notifications, connections: &Connections, signals: &Signals) {
    let statement = settings.statement("NOTIFY");
    let mut connection = None;
    let (mut sent, mut failures) = (0, 0_u32);
    loop {
        signals.wait(Duration::MAX, Some(sent));
        // Every notification that was requested before the stop is pending here.
        let is_last = signals.is_stopping();
        let pending = signals.wakes();
        let begun = Instant::now();
        let mut pause = settings.notify_interval;
        if pending != sent {
            if send(&statement, &mut connection, connections) {
                (sent, failures) = (pending, 0);
                pause = pause.saturating_sub(begun.elapsed());
            } else {
                failures = failures.saturating_add(1);
                warn!(failures, "notification of new messages failed, retrying");
                pause = full_jitter(settings.backoff.max_delay_after(failures));
            }
        }
        if is_last {
            return;
        }
        signals.wait(pause, None);
    }
}

/// Sends the notification, on the present connection if it is not lost, or on a new one. Returns
/// `true` on success.
fn send(statement: &str, connection: &mut Option<PgConnection>, connections: &Connections) -> bool {
    // A notification is also sent after a stop, for which the drop waits.
    let unstopped = Signals::default();
    if let Some(open) = connection.take() {
        *connection = connections.run(Some(open), statement, &unstopped);
    }
    if connection.is_none() {
        *connection = connections.run(None, statement, &unstopped);
    }
    connection.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::locks::lock;

    #[test]
    fn a_drop_ends_when_making_a_connection_does_not() -> Result<(), mpsc::RecvError> {
        let (begin, has_begun) = mpsc::channel();
        let (release, is_released) = mpsc::channel::<()>();
        let is_released = Mutex::new(is_released);
        let mut notifier = Notifications::default().notifier(move || {
            let _ = begin.send(());
            // Blocks until the test ends.
            let _ = lock(&is_released).recv();
            Err(())
        });
        notifier.patience = Duration::from_millis(10);
        notifier.notify();
        has_begun.recv()?;
        drop(notifier);
        drop(release);
        // The detached thread ends after its attempts to connect.
        has_begun.iter().for_each(drop);
        Ok(())
    }
}
