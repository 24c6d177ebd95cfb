use chrono::{DateTime, Utc};

/// Provides the time at which a message is recorded.
///
/// Any `Fn() -> DateTime<Utc>` is a clock, so that a test can fix the time:
///
/// ```
/// use chrono::{DateTime, Utc};
/// use persisting_message_bus::DefaultMessageDecorator;
/// use persisting_message_bus::backend::Clock;
///
/// let noon: DateTime<Utc> = "2026-03-01T12:00:00Z".parse()?;
/// let clock = move || noon;
/// assert_eq!(clock.now(), noon);
/// let decorator = DefaultMessageDecorator::with_clock(clock);
/// # Ok::<(), chrono::ParseError>(())
/// ```
pub trait Clock: Send + Sync {
    /// Returns the current time.
    fn now(&self) -> DateTime<Utc>;
}

/// The clock of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}

impl<F: Fn() -> DateTime<Utc> + Send + Sync> Clock for F {
    fn now(&self) -> DateTime<Utc> {
        self()
    }
}
