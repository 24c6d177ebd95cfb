//! Reads topics that another service serves.

mod address;
mod failure;
mod index;
mod page;
mod server;
mod source;

use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, Instant};

use persisting_message_bus::backend::MessageAt;
use persisting_message_bus::{Backoff, Error, Position};

use self::failure::Failure;
use self::server::Server;

/// Reads a feed, so that consumers run on it as on a table of their own.
///
/// A source has no consumer state: join it with one by
/// [`MessageBus`](persisting_message_bus::MessageBus). The cursor of such a consumer is a position
/// of the feed's database. The message ids, headers and times are those of the published messages.
///
/// The source blocks. It sends few requests: one for each page while there is more to read, and one
/// for each empty poll. It polls, and does not let the feed wait for new messages (the parameter
/// `timeout`). One thread waits for all topics of a consumer and for its stop, and a stop cannot
/// interrupt a request. A [`Runner`](persisting_message_bus::Runner) polls at its own pace.
///
/// If the feed cannot be reached, the source retries the request as set by
/// [`max_attempts`](Self::max_attempts) and [`backoff`](Self::backoff), and then returns an error.
/// It does not follow redirects, so that no other server gets the token.
pub struct HttpSource {
    server: Server,
    known: HashMap<String, Known>,
}

/// The high-water mark and the head of a topic, as the last answer reported them.
#[derive(Debug, Clone, Copy)]
struct Known {
    high_water_mark: Position,
    head: MessageAt,
    /// The message after which the last page began.
    after: MessageAt,
    /// The time of the answer, if it came with a page that ended before the head. Then the next
    /// poll needs no request of its own.
    with_page: Option<Instant>,
}

impl HttpSource {
    /// Reads the feed at this address, which is the address of its router, such as
    /// `https://shop.example/feeds`.
    ///
    /// # Errors
    ///
    /// When the address is not an HTTP address, or contains a name, a password, a query or a
    /// fragment.
    pub fn new(url: impl AsRef<str>) -> Result<Self, Error> {
        let url =
            address::parse(url.as_ref()).map_err(|failure| configuring("the address", failure))?;
        Ok(Self {
            server: Server::new(url),
            known: HashMap::new(),
        })
    }

    /// Sets the token that is sent with each request, with the white space around it removed. The
    /// token is never printed. Over plain HTTP, the token is readable on the network.
    ///
    /// # Errors
    ///
    /// When the token is empty, or has characters that a header cannot have.
    pub fn token(mut self, token: impl AsRef<str>) -> Result<Self, Error> {
        let set = self.server.set_token(token.as_ref());
        set.map_err(|failure| configuring("the token", failure))?;
        Ok(self)
    }

    /// Sets the token to the value of this environment variable.
    ///
    /// # Errors
    ///
    /// When the variable does not exist or is not UTF-8, and the errors of [`token`](Self::token).
    pub fn token_from_env(mut self, variable: &str) -> Result<Self, Error> {
        let token = std::env::var(variable).map_err(|_| Failure::NoVariable);
        let set = token.and_then(|token| self.server.set_token(&token));
        set.map_err(|failure| configuring(&format!("the token in {variable}"), failure))?;
        Ok(self)
    }

    /// Trusts servers whose certificates these authorities have issued: one or several root
    /// certificates in PEM. Default: the public ones, which these certificates replace. Further
    /// calls add certificates.
    ///
    /// # Errors
    ///
    /// When there is no certificate in the PEM, or the PEM is broken.
    pub fn root_certificates(mut self, pem: impl AsRef<[u8]>) -> Result<Self, Error> {
        let set = self.server.add_roots(pem.as_ref());
        set.map_err(|failure| configuring("the root certificates", failure))?;
        Ok(self)
    }

    /// Sets the maximum number of attempts of a request that finds no server, or one that is busy
    /// or broken. Default: 3. Zero means 1. A runner that reads from this source keeps polling
    /// after the last attempt.
    #[must_use]
    pub fn max_attempts(mut self, max_attempts: u32) -> Self {
        self.server.max_attempts = max_attempts;
        self
    }

    /// Sets how long to wait between these attempts. Default: up to 200 ms after the first attempt,
    /// growing to at most 2 seconds.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.server.backoff = backoff;
        self
    }

    /// Sets how long an answer can take, from the connection to its last byte. Default: 60 seconds.
    /// The maximum is a day. Zero makes every request fail.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.server.timeout = timeout;
        self
    }

    /// Sets the maximum number of bytes of a page after decompression. Default: 64 MiB. By default,
    /// a feed's page ends after the message with which it reaches 16 MiB.
    #[must_use]
    pub fn max_page_bytes(mut self, bytes: u64) -> Self {
        self.server.max_page_bytes = bytes;
        self
    }
}

/// The output does not contain the token.
impl fmt::Debug for HttpSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("HttpSource")
            .field("url", &self.server.url())
            .field("has_token", &self.server.has_token())
            .finish_non_exhaustive()
    }
}

fn configuring(what: &str, failure: Failure) -> Error {
    Error::permanent(format!("setting {what} of a feed"), failure)
}
