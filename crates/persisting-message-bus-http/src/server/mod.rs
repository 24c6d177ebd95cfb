//! Serves topics.

mod access;
mod answer;
mod body;
mod closing;
mod connection;
mod held;
mod limits;
mod page;
mod problem;
mod query;
mod reader;
mod routes;
mod stream;
mod topic;

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::sync::Arc;

use axum::Router;
use persisting_message_bus::MessageSource;

pub use self::closing::Closing;
pub use self::limits::Limits;

use self::access::Access;
use self::reader::Reader;

/// Serves topics to other services: a page at a time, as a stream, and to those who wait.
///
/// Nobody may read anything before [`token`](Self::token), [`token_for`](Self::token_for) or
/// [`public`](Self::public) says so. Serve the [`router`](Self::router) by itself or nested under a path,
/// behind TLS: tokens and messages are readable for whoever can listen in.
///
/// Only what no publisher can still precede is served, so that whoever goes on behind the last event
/// skips nothing. However many clients wait, one task for each topic looks for them, with a connection
/// only while it looks.
#[derive(Debug)]
pub struct Feed {
    reader: Reader,
    topics: Vec<String>,
    source: String,
    access: Access,
    limits: Limits,
    closing: Closing,
}

impl Feed {
    /// Serves these topics. `connect` is called for each read: give it the `get` of a pool.
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
            closing: Closing::default(),
        }
    }

    /// Lets everybody read all topics, with or without a token.
    #[must_use]
    pub fn public(mut self) -> Self {
        self.access.open_to_all();
        self
    }

    /// Lets whoever has this token read all topics. An empty one is nobody's, as is one with characters
    /// that a header cannot have. White space around it is no part of it.
    ///
    /// Tokens are compared in constant time, except for their length: take long random ones.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.access.add(&token.into(), None);
        self
    }

    /// Lets whoever has this token read these topics, and those for which it was set before. Otherwise as
    /// [`token`](Self::token).
    ///
    /// Positions are counted over all topics: who may read one of them sees from positions, horizons and
    /// the last position how many messages the others have, and nothing else of them.
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

    /// Sets what comes before the path of the topic in the `source` of events, such as
    /// `https://shop.example`: together with the id it identifies an event for everybody who collects
    /// events of several services. Without this it is the path alone, `/orders`.
    #[must_use]
    pub fn source(mut self, source: impl Into<String>) -> Self {
        self.source = source.into();
        self
    }

    /// Sets how much it does for its clients.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// What ends streams and waits when the program is about to end.
    #[must_use]
    pub fn closing(&self) -> Closing {
        self.closing.clone()
    }

    /// What serves `/` and `/{topic}`. It has to be served on a tokio runtime with timers.
    pub fn router(self) -> Router {
        let source = self.source.trim_end_matches('/');
        let topics = self.topics.into_iter().map(|name| {
            let topic = topic::Topic::new(name.clone(), source);
            (name, Arc::new(topic))
        });
        routes::router(Arc::new(Served {
            reader: self.reader.limited_to(self.limits.reads),
            topics: topics.collect(),
            access: self.access,
            room: body::Room::new(&self.limits),
            waiters: Arc::new(stream::places(self.limits.waiters)),
            limits: self.limits,
            closing: self.closing,
        }))
    }
}

/// A feed as it is served.
#[derive(Debug)]
struct Served {
    reader: Reader,
    topics: BTreeMap<String, Arc<topic::Topic>>,
    access: Access,
    limits: Limits,
    closing: Closing,
    /// For pages on their way.
    room: body::Room,
    /// For those who wait.
    waiters: Arc<tokio::sync::Semaphore>,
}
