use std::time::Duration;

use crate::backoff::Backoff;
use crate::error::Error;
use crate::message::name;
use crate::sql::postgres::quoting::quoted;

/// Wakes consumers in other processes. The publishing process has a [`Notifier`](super::Notifier),
/// the consuming process has a [`Listener`](super::Listener), both on the same channel.
///
/// Transactions that contain a NOTIFY commit one at a time. So the notifier sends it outside of the
/// publishing transaction, and not more often than needed: many calls of
/// [`Notifier::notify`](super::Notifier::notify) become one `NOTIFY`. Nothing depends on
/// notifications, because polling finds the messages whose notification was missed.
///
#[cfg_attr(feature = "postgres", doc = "```no_run")]
#[cfg_attr(not(feature = "postgres"), doc = "```ignore")]
/// use diesel::{Connection, PgConnection};
/// use persisting_message_bus::sql::postgres::Notifications;
/// # use persisting_message_bus::{MessageConsumer, MessageDispatcher, Runner, Topic};
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// # struct OrderPlaced {}
/// # #[derive(Topic)]
/// # #[topic(name = "orders")]
/// # enum Orders { OrderPlaced(OrderPlaced) }
/// # let mailer = MessageConsumer::<Orders>::external("mailer", |_| Ok(()));
///
/// let connect = || PgConnection::establish("postgres://localhost/shop");
///
/// // The process that publishes.
/// let notifier = Notifications::default().notifier(connect);
/// MessageDispatcher::<Orders>::new().dispatch(&mut connect()?, &OrderPlaced {})?;
/// notifier.notify();
///
/// // The process that consumes.
/// let running = Runner::new(connect).consumer(mailer).start();
/// let listener = Notifications::default().listener(connect, running.waker());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notifications {
    pub(crate) channel: String,
    pub(crate) notify_interval: Duration,
    pub(crate) poll_interval: Duration,
    pub(crate) backoff: Backoff,
    pub(crate) answer_timeout: Duration,
}

impl Default for Notifications {
    /// Uses the channel `persisting_message_bus`.
    fn default() -> Self {
        Self {
            channel: "persisting_message_bus".to_owned(),
            notify_interval: Duration::from_millis(2),
            poll_interval: Duration::from_millis(1),
            backoff: Backoff::default(),
            answer_timeout: Duration::from_secs(30),
        }
    }
}

impl Notifications {
    /// Uses a channel of any name, whose upper and lower case are significant. A channel belongs to
    /// a database, regardless of the schema. PostgreSQL distinguishes channels by the first 63
    /// bytes of their names.
    ///
    /// # Errors
    ///
    /// [`Error::is_invalid_name`]: when the name is empty, is longer than
    /// [`MAX_NAME_LENGTH`](crate::backend::MAX_NAME_LENGTH), has control or invisible format characters, or
    /// has white space at its ends.
    pub fn on_channel(channel: impl Into<String>) -> Result<Self, Error> {
        let channel = channel.into();
        name::validate("channel", &channel)?;
        Ok(Self {
            channel,
            ..Self::default()
        })
    }

    /// Sets the minimum time between two `NOTIFY` of a notifier. Default: 2 ms. Zero means that the
    /// notifier sends them as fast as the server accepts them.
    #[must_use]
    pub fn notify_interval(mut self, interval: Duration) -> Self {
        self.notify_interval = interval;
        self
    }

    /// Sets how often a listener checks its connection for notifications. Default: 1 ms. For 100 ms
    /// after a notification, the listener checks four times as often. A check runs no statement.
    /// Zero means that the listener checks all the time, which keeps a processor busy.
    #[must_use]
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.poll_interval = interval;
        self
    }

    /// Sets how long to wait before a lost connection is opened again. Opening it is retried with
    /// no limit on the attempts.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Sets how long a notifier or a listener waits for a connection, or for the answer to a
    /// statement. Then it abandons the connection and opens another one. A listener also sends a
    /// statement after each such time without a notification, to find out whether its connection
    /// still works. Default: 30 seconds. Zero means that no answer comes in time.
    #[must_use]
    pub fn answer_timeout(mut self, timeout: Duration) -> Self {
        self.answer_timeout = timeout;
        self
    }

    /// Returns how long a listener that polls waits, by the time since the last notification. Soon after a
    /// notification, more are to be expected.
    #[cfg(feature = "postgres")]
    pub(crate) fn poll_after(&self, silence: Duration) -> Duration {
        const EXPECTING: Duration = Duration::from_millis(100);
        if silence < EXPECTING {
            self.poll_interval / 4
        } else {
            self.poll_interval
        }
    }

    /// Returns `LISTEN` or `NOTIFY` with the channel.
    pub(crate) fn statement(&self, command: &str) -> String {
        format!("{command} {}", quoted(&self.channel))
    }
}
