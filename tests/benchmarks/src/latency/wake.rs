use std::fmt;

use persisting_message_bus::operate::RunHandle;

use crate::with_driver::WithDriver;

/// The event that makes the consumer poll.
#[derive(Debug, Clone, Copy)]
pub enum Wake {
    /// The runner's own interval.
    Polling,
    /// The publisher is in the same process and wakes the runner.
    Waker,
    /// The publisher wakes the runner through the database, as from another process.
    Notification,
    /// The same, by tasks of an async program, for a consumer with an async handler.
    Tasks,
    /// The publisher notifies a program that has no consumer, and only reads.
    ByHand,
}

impl Wake {
    /// Returns the events that the database supports.
    pub fn all<B: WithDriver>() -> Vec<Self> {
        let mut all = vec![Self::Polling, Self::Waker];
        if B::NOTIFIES {
            all.extend([Self::Notification, Self::Tasks, Self::ByHand]);
        }
        all
    }

    /// Returns a closure that the publisher calls after each commit.
    pub fn by_publisher<B: WithDriver>(self, url: &str, running: &RunHandle) -> Box<dyn Fn()> {
        let waker = running.waker();
        match self {
            Self::Polling => Box::new(|| ()),
            Self::Waker => Box::new(move || waker.wake()),
            Self::Notification | Self::Tasks | Self::ByHand => B::notification(url, waker),
        }
    }
}

impl fmt::Display for Wake {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Polling => "polling",
            Self::Waker => "woken",
            Self::Notification => "notified",
            Self::Tasks => "notified, async handler",
            Self::ByHand => "notified, by hand",
        })
    }
}
