//! Reads topics that somebody else serves.

mod address;
mod failure;
mod page;
mod server;
mod source;

use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, Instant};

use persisting_message_bus::{Error, Position, Retry};

use self::failure::Failure;
use self::server::Server;

/// Reads what a feed serves, so that consumers run on it as on a table of their own.
///
/// It has no consumer state: join it with one by [`MessageBus`](persisting_message_bus::MessageBus). The
/// cursor of such a consumer is a position of the feed's database, and its message ids, headers and
/// times are those of the messages as they were published.
///
/// It blocks, and asks for as little as it can: one request for each page while there is more to read,
/// and one for each look when there is not. It does not have the feed wait for a new message (the parameter
/// `timeout`): one thread waits for all of a consumer's topics, and for its end, which a request cannot be
/// woken for. A [`Runner`](persisting_message_bus::Runner) looks at its own pace. What cannot be reached is asked again as
/// [`retry`](Self::retry) says, and is then an error. Redirects are not followed, so that nobody else gets
/// the token.
pub struct HttpSource {
    server: Server,
    known: HashMap<String, Known>,
}

/// How far a topic can be read, as the last answer said.
#[derive(Debug, Clone, Copy)]
struct Known {
    horizon: Position,
    head: Position,
    /// When it came with a page that ended before the head, so that there is no need to look once more.
    with_page: Option<Instant>,
}

impl HttpSource {
    /// Reads the feed at this address: where its router is served, such as
    /// `https://shop.example/feeds`.
    ///
    /// # Errors
    ///
    /// When it is no address of HTTP, or has a password or a query in it.
    pub fn new(url: impl AsRef<str>) -> Result<Self, Error> {
        let url =
            address::parse(url.as_ref()).map_err(|failure| configuring("the address", failure))?;
        Ok(Self {
            server: Server::new(url),
            known: HashMap::new(),
        })
    }

    /// Sets the token that is sent with each request, without white space around it. It is never printed.
    /// Over plain HTTP, everybody in between can read it.
    ///
    /// # Errors
    ///
    /// When it is empty, or has characters that a header cannot have.
    pub fn token(mut self, token: impl AsRef<str>) -> Result<Self, Error> {
        let set = self.server.set_token(token.as_ref());
        set.map_err(|failure| configuring("the token", failure))?;
        Ok(self)
    }

    /// Sets the token to what this environment variable holds.
    ///
    /// # Errors
    ///
    /// When there is no such variable, and those of [`token`](Self::token).
    pub fn token_from_env(mut self, variable: &str) -> Result<Self, Error> {
        let token = std::env::var(variable).map_err(|_| Failure::NoVariable);
        let set = token.and_then(|token| self.server.set_token(&token));
        set.map_err(|failure| configuring(&format!("the token in {variable}"), failure))?;
        Ok(self)
    }

    /// Trusts servers whose certificates these authorities have issued: one or several root certificates in
    /// PEM. They take the place of the public ones, which are trusted without this; called again, it
    /// adds more.
    ///
    /// # Errors
    ///
    /// When there is no certificate in it, or the PEM is broken.
    pub fn root_certificates(mut self, pem: impl AsRef<[u8]>) -> Result<Self, Error> {
        let set = self.server.add_roots(pem.as_ref());
        set.map_err(|failure| configuring("the root certificates", failure))?;
        Ok(self)
    }

    /// Sets how often and how long a request is repeated that finds no server, or one that says that it
    /// is busy or broken. Without this 3 times in all, after up to 200 ms and 400 ms: whoever
    /// calls, such as a runner, goes on from there. What becomes of a message that fails is none of its
    /// business.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.server.retry = retry;
        self
    }

    /// Sets how long an answer may take, from the connection to its last byte; 60 seconds without
    /// this, and a day at most. Zero lets every request fail.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.server.timeout = timeout;
        self
    }

    /// Sets how many bytes a page has at most, when it is unpacked; 64 MiB without this. A feed's pages
    /// end behind the message with which they have 16 MiB.
    #[must_use]
    pub fn largest_page(mut self, bytes: u64) -> Self {
        self.server.largest_page = bytes;
        self
    }
}

/// Without the token.
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
    Error::repository(format!("setting {what} of a feed"), failure, false)
}
