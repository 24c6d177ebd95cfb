use std::time::Duration;

/// How much a [`Feed`](crate::Feed) does for its clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// How many events a page has at most when the client does not say; 500 without this.
    pub page_size: usize,
    /// How many it has at most whatever the client says; 5,000 without this.
    pub largest_page: usize,
    /// A page ends behind the event with which it has so many bytes; 16 MiB without this. So it has one
    /// event at least, however large that is.
    pub page_bytes: usize,
    /// How many bytes of pages and server-sent events are on their way to clients at once; others wait,
    /// 10 seconds at most. 256 MiB without this; never less than one page. Answers of up to 64 KiB are
    /// not counted.
    pub bytes_under_way: usize,
    /// How long a client may take to receive a page, or the next server-sent events, which are 64 KiB or
    /// a larger one; 60 seconds without this. Then what is left of it is dropped, the client's place among
    /// those who wait is free again, and the connection is closed. In HTTP/2 it is whatever serves the
    /// connection that closes one that stands still.
    pub longest_transfer: Duration,
    /// How long a client can have its request wait for something new; 30 seconds without this.
    pub longest_wait: Duration,
    /// How many clients can wait at once, with those that receive server-sent events. Others are told to
    /// come back later. 1,000 without this; zero lets nobody wait.
    pub waiters: usize,
    /// How many reads of the source run at once, each with a thread and a connection; others wait for
    /// their turn. 4 without this; zero is taken as 1.
    pub reads: usize,
    /// How often server-sent events have a comment when nothing comes, so that nobody in between takes
    /// the connection for dead; 15 seconds without this.
    pub heartbeat: Duration,
}

const MEBIBYTE: usize = 1024 * 1024;

impl Default for Limits {
    fn default() -> Self {
        Self {
            page_size: 500,
            largest_page: 5_000,
            page_bytes: 16 * MEBIBYTE,
            bytes_under_way: 256 * MEBIBYTE,
            longest_transfer: Duration::from_secs(60),
            longest_wait: Duration::from_secs(30),
            waiters: 1_000,
            reads: 4,
            heartbeat: Duration::from_secs(15),
        }
    }
}

impl Limits {
    /// Sets how many events a page has at most when the client does not say.
    #[must_use]
    pub fn page_size(self, page_size: usize) -> Self {
        Self { page_size, ..self }
    }

    /// Sets how many events a page has at most whatever the client says.
    #[must_use]
    pub fn largest_page(self, largest_page: usize) -> Self {
        Self {
            largest_page,
            ..self
        }
    }

    /// Sets with how many bytes a page ends.
    #[must_use]
    pub fn page_bytes(self, page_bytes: usize) -> Self {
        Self { page_bytes, ..self }
    }

    /// Sets how many bytes of pages and server-sent events are on their way at once.
    #[must_use]
    pub fn bytes_under_way(self, bytes_under_way: usize) -> Self {
        Self {
            bytes_under_way,
            ..self
        }
    }

    /// Sets how long a client may take to receive a page, or the next server-sent events.
    #[must_use]
    pub fn longest_transfer(self, longest_transfer: Duration) -> Self {
        Self {
            longest_transfer,
            ..self
        }
    }

    /// Sets how long a client can have its request wait.
    #[must_use]
    pub fn longest_wait(self, longest_wait: Duration) -> Self {
        Self {
            longest_wait,
            ..self
        }
    }

    /// Sets how many clients can wait at once.
    #[must_use]
    pub fn waiters(self, waiters: usize) -> Self {
        Self { waiters, ..self }
    }

    /// Sets how many reads of the source run at once.
    #[must_use]
    pub fn reads(self, reads: usize) -> Self {
        Self { reads, ..self }
    }

    /// Sets how often server-sent events have a comment when nothing comes.
    #[must_use]
    pub fn heartbeat(self, heartbeat: Duration) -> Self {
        Self { heartbeat, ..self }
    }
}
