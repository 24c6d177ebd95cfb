//! A feed on a free port, and a record of the requests to its source.

use std::convert::Infallible;
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};

use axum::Router;
use persisting_message_bus::backend::MessageSource;
use persisting_message_bus_http::Feed;
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::forward_source;
use persisting_message_bus_tests::http_server::HttpServer;

pub const TOPICS: [&str; 3] = ["orders", "payments", "invoices"];

/// A served feed. Dropping this stops it.
pub struct Serving(HttpServer);

impl Serving {
    pub fn start(feed: Feed) -> Self {
        Self::start_router(feed.router())
    }

    /// Serves a feed under a path.
    pub fn nested(path: &str, feed: Feed) -> Self {
        Self::start_router(Router::new().merge(feed.nested_at(path).unwrap()))
    }

    pub fn start_router(router: Router) -> Self {
        Self(HttpServer::start(router))
    }
}

impl Deref for Serving {
    type Target = HttpServer;

    fn deref(&self) -> &HttpServer {
        &self.0
    }
}

/// Returns a public feed that opens a connection for each read.
pub fn feed_of<D: Database + Send + 'static>(database: &Arc<D>) -> Feed {
    let database = Arc::clone(database);
    Feed::new(move || Ok::<_, Infallible>(database.connect()), TOPICS)
        .unwrap()
        .public()
}

/// The numbers of a source's open connections.
#[derive(Default)]
pub struct Openings {
    now: AtomicUsize,
    pub most: AtomicUsize,
}

/// Returns a feed that reports each time that its source is opened.
pub fn watched_feed<D: Database + Send + 'static>(
    database: &Arc<D>,
) -> (Feed, Receiver<()>, Arc<Openings>) {
    let database = Arc::clone(database);
    let openings = Arc::new(Openings::default());
    let counted = Arc::clone(&openings);
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let connect = move || {
        let now = counted.now.fetch_add(1, Ordering::SeqCst) + 1;
        counted.most.fetch_max(now, Ordering::SeqCst);
        // The receiver may be gone.
        let _told = tell.lock().unwrap().send(());
        Ok::<_, Infallible>(Counted {
            bus: database.connect(),
            openings: Arc::clone(&counted),
        })
    };
    (Feed::new(connect, TOPICS).unwrap().public(), told, openings)
}

struct Counted<B> {
    bus: B,
    openings: Arc<Openings>,
}

impl<B> Drop for Counted<B> {
    fn drop(&mut self) {
        self.openings.now.fetch_sub(1, Ordering::SeqCst);
    }
}

impl<B: MessageSource> MessageSource for Counted<B> {
    forward_source! { |this| this.bus => high_water_mark, head, last_position, read_page }
}
