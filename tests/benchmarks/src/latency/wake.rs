use std::fmt;

use persisting_message_bus::Running;

use crate::with_driver::WithDriver;

/// What makes the consumer look.
#[derive(Debug, Clone, Copy)]
pub enum Wake {
    /// The runner's own pace.
    Polling,
    /// The publisher is in the same process and says that there is something.
    Nudge,
    /// As if it were in another process: by what the database has for that.
    Notification,
}

impl Wake {
    /// Those that the database can do.
    pub fn all<B: WithDriver>() -> Vec<Self> {
        let mut all = vec![Self::Polling, Self::Nudge];
        if B::NOTIFIES {
            all.push(Self::Notification);
        }
        all
    }

    /// What the publisher does behind each commit.
    pub fn by_publisher<B: WithDriver>(self, url: &str, running: &Running) -> Box<dyn Fn()> {
        let nudge = running.nudge();
        match self {
            Self::Polling => Box::new(|| ()),
            Self::Nudge => Box::new(move || nudge.nudge()),
            Self::Notification => B::notification(url, nudge),
        }
    }
}

impl fmt::Display for Wake {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Polling => "polling",
            Self::Nudge => "nudged",
            Self::Notification => "notified",
        })
    }
}
