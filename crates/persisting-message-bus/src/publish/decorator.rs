use std::fmt;
use std::sync::Mutex;

use uuid::{ContextV7, Timestamp, Uuid};

use crate::message::headers::Headers;
use crate::publish::clock::{Clock, SystemClock};

/// Adds headers to every message that a dispatcher publishes.
///
/// Any `Fn(&mut Headers)` is a decorator:
///
/// ```
/// use persisting_message_bus::{Headers, MessageDispatcher};
/// # use persisting_message_bus::Topic;
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Debug, Serialize, Deserialize)]
/// # struct OrderPlaced { total_cents: i64 }
/// # #[derive(Debug, Topic)]
/// # #[topic(name = "orders")]
/// # enum Orders { OrderPlaced(OrderPlaced) }
///
/// let orders = MessageDispatcher::<Orders>::new()
///     .with_decorator(|headers: &mut Headers| headers.set("tenant", "acme"));
/// ```
pub trait MessageDecorator: Send + Sync {
    /// Adds to `headers`, in which topic and type are already set. Headers that the caller or an
    /// earlier decorator has set are visible and should stay unchanged.
    fn decorate(&self, headers: &mut Headers);
}

impl<F: Fn(&mut Headers) + Send + Sync> MessageDecorator for F {
    fn decorate(&self, headers: &mut Headers) {
        self(headers);
    }
}

/// Sets the message id, a UUID of version 7, and the time of recording, unless they are set.
///
/// The ids of one decorator grow in the order of their creation, even within one millisecond. Their
/// random part comes from a generator that is seeded once for each thread. If a process forks
/// without `exec`, set explicit ids or dispatch in only one of the two processes.
pub struct DefaultMessageDecorator<C = SystemClock> {
    clock: C,
    ids: Mutex<ContextV7>,
}

impl DefaultMessageDecorator {
    /// Creates a decorator with the clock of the operating system.
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(SystemClock)
    }
}

impl Default for DefaultMessageDecorator {
    fn default() -> Self {
        Self::new()
    }
}

impl<C: Clock> DefaultMessageDecorator<C> {
    /// Creates a decorator with another clock.
    #[must_use]
    pub fn with_clock(clock: C) -> Self {
        Self {
            clock,
            ids: Mutex::new(ContextV7::new()),
        }
    }
}

impl<C: Clock> MessageDecorator for DefaultMessageDecorator<C> {
    fn decorate(&self, headers: &mut Headers) {
        let now = self.clock.now();
        if headers.recorded_at().is_none() {
            headers.set_recorded_at(now);
        }
        if headers.message_id().is_none() {
            // Version 7 counts from 1970. A clock before that creates ids as of that moment.
            let seconds = u64::try_from(now.timestamp()).unwrap_or(0);
            let time = Timestamp::from_unix(&self.ids, seconds, now.timestamp_subsec_nanos());
            headers.set_message_id(Uuid::new_v7(time));
        }
    }
}

impl<C: fmt::Debug> fmt::Debug for DefaultMessageDecorator<C> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("DefaultMessageDecorator")
            .field("clock", &self.clock)
            .finish_non_exhaustive()
    }
}
