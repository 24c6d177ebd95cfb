use std::time::Duration;

/// The limits of a [`Feed`](crate::Feed) for its clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The maximum number of events of a page if the client sends no limit. Default: 500.
    pub page_size: usize,
    /// The maximum number of events of a page, whatever limit the client sends. Default: 5,000.
    pub max_page_size: usize,
    /// The number of bytes after which a page ends. The page ends after the event with which it
    /// reaches that number, so it has at least one event. Default: 16 MiB.
    pub max_page_bytes: usize,
    /// The maximum number of bytes of pages and server-sent events in transit to clients. Further
    /// requests wait for up to 10 seconds. The value is at least one page. Answers of up to 64 KiB
    /// are not counted. Default: 256 MiB.
    pub max_in_flight_bytes: usize,
    /// How long a client can take to receive a page to its end, or the next server-sent events
    /// (64 KiB, or one larger event). After that the server drops the rest, frees the client's
    /// waiting slot and closes the connection. Pages of up to 64 KiB have no such limit, because
    /// the buffers of the connection hold them. In HTTP/2, a proxy or the server that terminates
    /// the connection must close a connection that makes no progress. Default: 60 seconds.
    pub transfer_timeout: Duration,
    /// How long a request can wait for new messages. Default: 30 seconds. Proxies between the feed
    /// and its clients must wait for longer; nginx waits for 60 seconds (`proxy_read_timeout`).
    pub max_wait: Duration,
    /// The maximum number of clients that wait, including clients that receive server-sent events.
    /// Further clients get 503 with Retry-After, or a stream that ends and names the time of the next
    /// attempt. Default: 1,000. Zero means that no request can wait.
    pub max_waiters: usize,
    /// The maximum number of concurrent reads of the source, each on a thread and a connection of
    /// its own. Further reads wait. Default: 4. Zero means 1.
    pub max_concurrent_reads: usize,
    /// How long a request waits for its turn to read the source, and then for the read. After that,
    /// the client gets 503 with Retry-After. The first read of a stream has this time or 30 seconds,
    /// whichever is shorter, including the wait for its turn. A read that hangs, because its
    /// database does not answer, occupies its thread and its connection until the connection ends.
    /// It is replaced by another read, up to three times for each of `max_concurrent_reads`.
    /// Default: 30 seconds. Zero means that no read is fast enough.
    pub read_timeout: Duration,
    /// How often a stream of server-sent events carries a comment while there are no messages, so
    /// that proxies do not close the connection. Default: 15 seconds.
    pub heartbeat_interval: Duration,
    /// When a client of server-sent events connects again after its connection has ended (the field
    /// `retry`). Each answer has a random delay from half of this to one and a half of it. Default:
    /// 3 seconds. Zero means at once.
    pub reconnect_delay: Duration,
}

const MEBIBYTE: usize = 1024 * 1024;

impl Default for Limits {
    fn default() -> Self {
        Self {
            page_size: 500,
            max_page_size: 5_000,
            max_page_bytes: 16 * MEBIBYTE,
            max_in_flight_bytes: 256 * MEBIBYTE,
            transfer_timeout: Duration::from_secs(60),
            max_wait: Duration::from_secs(30),
            max_waiters: 1_000,
            max_concurrent_reads: 4,
            read_timeout: Duration::from_secs(30),
            heartbeat_interval: Duration::from_secs(15),
            reconnect_delay: Duration::from_secs(3),
        }
    }
}

impl Limits {
    /// Sets the maximum number of events of a page if the client sends no limit. Default: 500.
    #[must_use]
    pub fn page_size(self, page_size: usize) -> Self {
        Self { page_size, ..self }
    }

    /// Sets the maximum number of events of a page. Default: 5,000.
    #[must_use]
    pub fn max_page_size(self, max_page_size: usize) -> Self {
        Self {
            max_page_size,
            ..self
        }
    }

    /// Sets the number of bytes after which a page ends. Default: 16 MiB.
    #[must_use]
    pub fn max_page_bytes(self, max_page_bytes: usize) -> Self {
        Self {
            max_page_bytes,
            ..self
        }
    }

    /// Sets the maximum number of bytes in transit to clients. Default: 256 MiB.
    #[must_use]
    pub fn max_in_flight_bytes(self, max_in_flight_bytes: usize) -> Self {
        Self {
            max_in_flight_bytes,
            ..self
        }
    }

    /// Sets how long a client can take to receive a page. Default: 60 seconds.
    #[must_use]
    pub fn transfer_timeout(self, transfer_timeout: Duration) -> Self {
        Self {
            transfer_timeout,
            ..self
        }
    }

    /// Sets how long a request can wait for new messages. Default: 30 seconds.
    #[must_use]
    pub fn max_wait(self, max_wait: Duration) -> Self {
        Self { max_wait, ..self }
    }

    /// Sets the maximum number of clients that wait. Default: 1,000. Zero means that no request can
    /// wait.
    #[must_use]
    pub fn max_waiters(self, max_waiters: usize) -> Self {
        Self {
            max_waiters,
            ..self
        }
    }

    /// Sets the maximum number of concurrent reads of the source. Default: 4. Zero means 1.
    #[must_use]
    pub fn max_concurrent_reads(self, max_concurrent_reads: usize) -> Self {
        Self {
            max_concurrent_reads,
            ..self
        }
    }

    /// Sets how long a request waits to read the source, and then for the read. Default: 30 seconds.
    #[must_use]
    pub fn read_timeout(self, read_timeout: Duration) -> Self {
        Self {
            read_timeout,
            ..self
        }
    }

    /// Sets how often an idle stream carries a comment. Default: 15 seconds.
    #[must_use]
    pub fn heartbeat_interval(self, heartbeat_interval: Duration) -> Self {
        Self {
            heartbeat_interval,
            ..self
        }
    }

    /// Sets when clients of server-sent events connect again, on average. Default: 3 seconds.
    #[must_use]
    pub fn reconnect_delay(self, reconnect_delay: Duration) -> Self {
        Self {
            reconnect_delay,
            ..self
        }
    }
}
