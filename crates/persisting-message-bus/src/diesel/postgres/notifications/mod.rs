//! LISTEN and NOTIFY, outside of the transactions that publish.

mod listener;
mod notifier;

use std::time::Duration;

use diesel::PgConnection;

pub use self::listener::Listener;
pub use self::notifier::Notifier;

use crate::consumer::guarded;
use crate::{Error, Nudge, Retry, name};

/// Wakes consumers in other processes: who publishes has a [`Notifier`], who consumes a [`Listener`],
/// both on the same channel.
///
/// A transaction that notifies makes all others of its kind commit one after the other. So this is done
/// outside of it, and not more often than needed: many calls of [`Notifier::notify`] are one
/// `NOTIFY`. Nothing depends on it: what is missed is found by polling.
///
/// ```no_run
/// use diesel::{Connection, PgConnection};
/// use persisting_message_bus::diesel::postgres::Notifications;
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
/// let listener = Notifications::default().listener(connect, running.nudge());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notifications {
    channel: String,
    notify_interval: Duration,
    poll_interval: Duration,
    retry: Retry,
}

impl Default for Notifications {
    /// On the channel `persisting_message_bus`.
    fn default() -> Self {
        Self {
            channel: "persisting_message_bus".to_owned(),
            notify_interval: Duration::from_millis(2),
            poll_interval: Duration::from_millis(1),
            retry: Retry::default(),
        }
    }
}

impl Notifications {
    /// On a channel of any name, in upper case and lower case as it is. Channels are those of a database,
    /// whatever the schema, and PostgreSQL knows them by their first 63 bytes.
    ///
    /// # Errors
    ///
    /// [`Error::is_invalid_name`]: when it is empty, longer than
    /// [`MAX_NAME_LENGTH`](crate::MAX_NAME_LENGTH), has control characters, or white space at its ends.
    pub fn on_channel(channel: impl Into<String>) -> Result<Self, Error> {
        let channel = channel.into();
        name::validate("channel", &channel)?;
        Ok(Self {
            channel,
            ..Self::default()
        })
    }

    /// Sets how much time is between two `NOTIFY` of a notifier at least; 2 milliseconds without this.
    /// Zero sends them as fast as the server takes them.
    #[must_use]
    pub fn notify_interval(mut self, interval: Duration) -> Self {
        self.notify_interval = interval;
        self
    }

    /// Sets how often a listener looks what has come on its connection; each millisecond without this.
    /// For a tenth of a second behind something that has come, it looks four times as often. That runs no
    /// statement. Zero looks all the time, and keeps a processor busy.
    #[must_use]
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.poll_interval = interval;
        self
    }

    /// Sets how long to wait before a lost connection is made again, as long as that fails: without end,
    /// whatever the number of attempts.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Starts what notifies, on a thread and on a connection of its own that `connect` makes.
    #[must_use = "it ends when it is dropped"]
    pub fn notifier<E>(
        &self,
        connect: impl Fn() -> Result<PgConnection, E> + Send + 'static,
    ) -> Notifier {
        Notifier::start(self.clone(), move || {
            guarded(|| Ok(connect().ok())).ok().flatten()
        })
    }

    /// Starts what nudges a runner, on a thread and on a connection of its own that `connect` makes.
    ///
    /// The connection has to be one to the server itself: behind a pooler of transactions, nobody listens.
    #[must_use = "it ends when it is dropped"]
    pub fn listener<E>(
        &self,
        connect: impl Fn() -> Result<PgConnection, E> + Send + 'static,
        nudge: Nudge,
    ) -> Listener {
        Listener::start(
            self.clone(),
            move || guarded(|| Ok(connect().ok())).ok().flatten(),
            nudge,
        )
    }

    /// How long a listener waits that has heard of something so long ago: where something has come, more
    /// is to be expected.
    fn poll_after(&self, silence: Duration) -> Duration {
        const EXPECTING: Duration = Duration::from_millis(100);
        if silence < EXPECTING {
            self.poll_interval / 4
        } else {
            self.poll_interval
        }
    }

    /// `LISTEN` or `NOTIFY` with the channel.
    fn statement(&self, command: &str) -> String {
        format!("{command} \"{}\"", self.channel.replace('"', "\"\""))
    }
}
