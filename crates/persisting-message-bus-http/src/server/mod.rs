//! Serves topics over HTTP.

mod accept;
mod access;
mod answer;
mod body;
mod budgeted;
mod connection;
mod deadline;
mod etag;
mod invalid;
mod limits;
mod mount;
mod page;
mod problem;
mod query;
mod reader;
mod retry;
mod routes;
mod shutdown;
mod source_uri;
mod stream;
mod topic;
mod topic_name;
mod turns;

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::sync::Arc;

use axum::Router;
use tokio::sync::Semaphore;

use persisting_message_bus::Error;
use persisting_message_bus::backend::MessageSource;

pub use self::limits::Limits;
pub use self::shutdown::ShutdownHandle;

use self::access::Access;
use self::reader::Reader;

/// Serves topics to other services: as pages, as a stream, and with waiting for new messages.
///
/// No client can read anything before [`token`](Self::token), [`token_for`](Self::token_for) or
/// [`public`](Self::public) permits it. Serve the feed by itself ([`router`](Self::router)) or under
/// a path of an application ([`nested_at`](Self::nested_at)), and with TLS, because tokens and
/// messages are otherwise readable on the network.
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
    /// If a read fails and the connection may be the cause, the feed abandons the connection
    /// ([`MessageSource::abandon_source`]), and a pool of r2d2 closes it.
    ///
    /// A topic's name is a segment of the path, percent-encoded. Some proxies decode it, and then do
    /// not pass requests on for names with `/`, `\`, `;`, `%`, `?` or `#`. The library logs a warning
    /// for such a name.
    ///
    /// # Errors
    ///
    /// When no request for a topic could arrive, or no message could be on it. This is so if its
    /// name is empty, is `.` or `..`, has such a part between slashes or backslashes, contains a
    /// control character, or has more than 255 characters.
    pub fn new<B, E, T>(
        connect: impl Fn() -> Result<B, E> + Send + Sync + 'static,
        topics: impl IntoIterator<Item = T>,
    ) -> Result<Self, Error>
    where
        B: MessageSource,
        E: Into<Box<dyn StdError + Send + Sync>>,
        T: Into<String>,
    {
        let topics: Vec<String> = topics.into_iter().map(Into::into).collect();
        for name in &topics {
            let checked = topic_name::check(name);
            checked.map_err(|invalid| invalid.setting(&format!("the topic {name:?}")))?;
        }
        Ok(Self {
            reader: Reader::new(connect),
            topics,
            source: String::new(),
            access: Access::default(),
            limits: Limits::default(),
            closing: ShutdownHandle::default(),
        })
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
    ///
    /// # Errors
    ///
    /// When the prefix is not a URI reference (RFC 3986), because other implementations of CloudEvents
    /// would then refuse whole pages. Also when it contains a user name, a password, a query or a
    /// fragment, or has `//` without a host.
    pub fn source(mut self, source: impl AsRef<str>) -> Result<Self, Error> {
        let source = source.as_ref();
        let prefix = source_uri::prefix(source);
        self.source = prefix.map_err(|invalid| invalid.setting("the source"))?;
        Ok(self)
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

    /// Returns a router that serves the feed under a path, such as `/feeds`. Merge it with the
    /// router of the application:
    ///
    /// ```
    /// # use persisting_message_bus::memory::InMemoryMessageBus;
    /// # use persisting_message_bus_http::Feed;
    /// # let bus = InMemoryMessageBus::default();
    /// # let connect = move || Ok::<_, std::convert::Infallible>(bus.clone());
    /// let feed = Feed::new(connect, ["orders"])?.public();
    /// let app: axum::Router = axum::Router::new().merge(feed.nested_at("/feeds")?);
    /// # Ok::<(), persisting_message_bus::Error>(())
    /// ```
    ///
    /// The index is at `/feeds` and at `/feeds/`. With `nest` of axum, it would be at `/feeds` only,
    /// and a proxy can add the slash. Slashes at the ends of the path are ignored, and the empty path
    /// is that of [`router`](Self::router).
    ///
    /// # Errors
    ///
    /// When the path is not that of a URL (RFC 3986, with other characters percent-encoded), has `.`
    /// or `..` or an empty segment, or has a segment that begins with `:` or `*`.
    pub fn nested_at(self, path: impl AsRef<str>) -> Result<Router, Error> {
        let path = path.as_ref();
        let nested = mount::at(path, self.router());
        nested.map_err(|invalid| invalid.setting(&format!("the path {path:?}")))
    }

    /// Returns the router of `/` and `/{topic}`. Serve it on a tokio runtime with timers. To serve it
    /// under a path, use [`nested_at`](Self::nested_at).
    pub fn router(self) -> Router {
        let topics = self.topics.into_iter().map(|name| {
            let topic = topic::Topic::new(name.clone(), &self.source);
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
