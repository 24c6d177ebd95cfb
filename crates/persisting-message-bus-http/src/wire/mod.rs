//! The wire format of messages and requests, which server and client share.

#[cfg(feature = "server")]
mod compact;
#[cfg(feature = "client")]
pub(crate) mod read;
#[cfg(feature = "server")]
pub(crate) mod write;

/// The media type of a page.
pub(crate) const BATCH: &str = "application/cloudevents-batch+json";

/// The version of CloudEvents.
pub(crate) const SPECVERSION: &str = "1.0";

/// The highest version of a message: an Integer of CloudEvents has 32 bits and a sign.
pub(crate) const MAX_VERSION: u32 = i32::MAX.cast_unsigned();

/// The maximum number of message types in a request.
pub(crate) const MAX_TYPES: usize = 100;

/// The parameters of a request.
pub(crate) mod parameter {
    pub(crate) const AFTER: &str = "after";
    #[cfg(feature = "server")]
    pub(crate) const LAST_EVENT_ID: &str = "lastEventId";
    pub(crate) const LIMIT: &str = "limit";
    /// Asks for the last position of all topics.
    pub(crate) const WITH_LAST: &str = "withLast";
    #[cfg(feature = "server")]
    pub(crate) const TIMEOUT: &str = "timeout";
    pub(crate) const TYPE: &str = "type";
    pub(crate) const EXCEPT_TYPE: &str = "exceptType";
}

/// The headers of an answer.
pub(crate) mod header {
    pub(crate) const NEXT: &str = "feed-next";
    pub(crate) const HEAD: &str = "feed-head";
    /// The id of the message at the head, if there is one.
    pub(crate) const HEAD_ID: &str = "feed-head-id";
    /// The id of the message after which the page begins, if it is still there.
    pub(crate) const AFTER_ID: &str = "feed-after-id";
    pub(crate) const HIGH_WATER_MARK: &str = "feed-high-water-mark";
    /// The last position that was ever assigned, in the answer to a request with `withLast`.
    pub(crate) const LAST: &str = "feed-last";
}

/// Returns a topic as a segment of a path.
pub(crate) fn segment(topic: &str) -> percent_encoding::PercentEncode<'_> {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'_')
        .remove(b'.')
        .remove(b'~');
    utf8_percent_encode(topic, ESCAPED)
}
