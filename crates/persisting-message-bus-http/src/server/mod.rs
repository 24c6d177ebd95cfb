//! Serves topics over HTTP.

mod access;
mod answer;
mod body;
mod budgeted;
mod connection;
mod deadline;
mod limits;
mod page;
mod problem;
mod query;
mod reader;
mod routes;
mod shutdown;
mod stream;
mod topic;
mod turns;

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::sync::Arc;

use axum::Router;
use tokio::sync::Semaphore;

use persisting_message_bus::backend::MessageSource;

pub use self::limits::Limits;
pub use self::shutdown::ShutdownHandle;

use self::access::Access;
use self::reader::Reader;

/// Serves topics to other services: as pages, as a stream, and with waiting for new messages.
///
/// No client can read anything before [`token`](Self::token), [`token_for`](Self::token_for) or
/// [`public`](Self::public) permits it. Serve the [`router`](Self::router) by itself or nested
/// under a path, and with TLS, because tokens and messages are otherwise readable on the network.
///
/// The feed serves only messages at or below the high-water mark, so a client that continues after
/// the last event skips nothing. However many clients wait, one task for each topic polls for them.
/// It uses a connection only while it polls.
#[derive(Debug)]
pub struct Feed {
    reader: Reader,
    topics: Vec<String>,
    source: String,
    access: Access,
    limits: Limits,
    closing: ShutdownHandle,
}

impl Feed {
    /// Serves these topics. Each read calls `connect`: pass the `get` of a pool.
    ///
    /// If a read fails and the connection may be the cause, the feed gives the connection up
    /// ([`MessageSource::abandon_source`]), and a pool of r2d2 closes it.
    pub fn new<B, E, T>(
        connect: impl Fn() -> Result<B, E> + Send + Sync + 'static,
        topics: impl IntoIterator<Item = T>,
    ) -> Self
    where
        B: MessageSource,
        E: Into<Box<dyn StdError + Send + Sync>>,
        T: Into<String>,
    {
        Self {
            reader: Reader::new(connect),
            topics: topics.into_iter().map(Into::into).collect(),
            source: String::new(),
            access: Access::default(),
            limits: Limits::default(),
            closing: ShutdownHandle::default(),
        }
    }

    /// Permits all clients to read all topics, with or without a token.
    #[must_use]
    pub fn public(mut self) -> Self {
        self.access.open_to_all();
        self
    }

    /// Permits clients with this token to read all topics. An empty token permits nothing, nor does
    /// one with characters that a header cannot have. White space around the token is ignored.
    ///
    /// Tokens are compared in constant time, except for their length: use long random ones.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.access.add(&token.into(), None);
        self
    }

    /// Permits clients with this token to read these topics, in addition to the topics of earlier
    /// calls. Otherwise as [`token`](Self::token).
    ///
    /// Positions are counted over all topics. From positions, high-water marks and the last
    /// position, a client can derive how many messages the other topics have, and nothing else
    /// about them.
    #[must_use]
    pub fn token_for<T: Into<String>>(
        mut self,
        token: impl Into<String>,
        topics: impl IntoIterator<Item = T>,
    ) -> Self {
        let topics = topics.into_iter().map(Into::into).collect();
        self.access.add(&token.into(), Some(topics));
        self
    }

    /// Sets the prefix of the topic's path in the `source` of events, such as
    /// `https://shop.example`. Together with the id, the source identifies an event for consumers
    /// that collect events of several services. Default: none, so the source is the path alone,
    /// `/orders`.
    #[must_use]
    pub fn source(mut self, source: impl Into<String>) -> Self {
        self.source = source.into();
        self
    }

    /// Sets the limits for clients.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Returns the handle that ends streams and waits when the program shuts down.
    #[must_use]
    pub fn shutdown_handle(&self) -> ShutdownHandle {
        self.closing.clone()
    }

    /// Returns the router of `/` and `/{topic}`. Serve it on a tokio runtime with timers.
    pub fn router(self) -> Router {
        let source = self.source.trim_end_matches('/');
        let topics = self.topics.into_iter().map(|name| {
            let topic = topic::Topic::new(name.clone(), source);
            (name, Arc::new(topic))
        });
        routes::router(Arc::new(Served {
            reader: self.reader.limited_to(&self.limits),
            topics: topics.collect(),
            access: self.access,
            room: body::Room::new(&self.limits),
            waiters: Arc::new(Semaphore::new(
                self.limits.max_waiters.min(Semaphore::MAX_PERMITS),
            )),
            limits: self.limits,
            closing: self.closing,
        }))
    }
}

/// A feed that is being served.
#[derive(Debug)]
struct Served {
    reader: Reader,
    topics: BTreeMap<String, Arc<topic::Topic>>,
    access: Access,
    limits: Limits,
    closing: ShutdownHandle,
    /// The memory for pages in transit.
    room: body::Room,
    /// The waiting slots.
    waiters: Arc<Semaphore>,
}
