use std::time::Duration;

use super::UnknownMessages;
use crate::Retry;

/// How a consumer reads.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    /// How many messages a page has at most.
    pub(super) page_size: usize,
    pub(super) lease_duration: Duration,
    pub(super) unknown: UnknownMessages,
    /// How failures are repeated; `None` where whoever runs the consumer says it.
    pub(super) retry: Option<Retry>,
}

impl Settings {
    /// A page ends behind the message with which its payloads and headers reach so many bytes.
    pub(super) const PAGE_BYTES: usize = 16 * 1024 * 1024;
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            page_size: 500,
            lease_duration: Duration::from_secs(30),
            unknown: UnknownMessages::default(),
            retry: None,
        }
    }
}
