//! A feed of the database that fails over.

use std::net::TcpListener;

use diesel::PgConnection;
use diesel::r2d2::{ConnectionManager, Pool};
use persisting_message_bus_http::Feed;
use tokio::runtime::{Builder, Runtime};

/// A served feed. Dropping this stops it.
pub struct ServedFeed {
    pub url: String,
    runtime: Option<Runtime>,
}

impl ServedFeed {
    pub fn start(connections: Pool<ConnectionManager<PgConnection>>) -> Self {
        let feed = Feed::new(move || connections.get(), ["orders"])
            .unwrap()
            .public();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let entered = runtime.enter();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        drop(entered);
        runtime.spawn(async { axum::serve(listener, feed.router()).await });
        Self {
            url,
            runtime: Some(runtime),
        }
    }
}

impl Drop for ServedFeed {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
