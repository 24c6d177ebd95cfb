use std::time::Duration;

use crate::consume::on_added::OnAdded;
use crate::consume::retry_policy::RetryPolicy;
use crate::consume::start_at::StartAt;
use crate::consume::unknown::OnUnknown;

/// The settings with which a consumer reads.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    /// The maximum number of messages in a page.
    pub(super) page_size: usize,
    pub(super) lease_duration: Duration,
    /// How long pages follow each other under one lease.
    pub(super) time_slice: Duration,
    pub(super) unknown: OnUnknown,
    /// How long the consumer waits before an unknown message; `None` if it waits without a limit.
    pub(super) unknown_timeout: Option<Duration>,
    /// Where the consumer starts if it has never run; `None` for the start.
    pub(super) start_at: Option<StartAt>,
    /// What happens to earlier messages of types that are added to the event set.
    pub(super) on_added: Option<OnAdded>,
    /// The retry policy, or `None` if the runner sets it.
    pub(super) retry: Option<RetryPolicy>,
}

impl Settings {
    /// A topic's part of a page ends after the message with which its payloads and headers reach so
    /// many bytes.
    pub(super) const PAGE_BYTES: usize = 16 * 1024 * 1024;
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            page_size: 500,
            lease_duration: Duration::from_secs(30),
            time_slice: Duration::from_millis(200),
            unknown: OnUnknown::default(),
            unknown_timeout: None,
            start_at: None,
            on_added: None,
            retry: None,
        }
    }
}
