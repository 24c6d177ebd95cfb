//! A database, a feed, and nginx between the feed and its clients.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::response::Html;
use axum::routing::get;
use diesel::{Connection, PgConnection};
use persisting_message_bus::MessageDispatcher;
use persisting_message_bus::sql::migrate;
use persisting_message_bus_http::{Feed, Limits};
use persisting_message_bus_tests::http_server::HttpServer;
use persisting_message_bus_tests::servers::{Nginx, PostgresServer};
use persisting_message_bus_tests::topics::{OrderShipped, Orders};
use tower_http::cors::CorsLayer;

/// The script with which the example subscribes.
const SUBSCRIBE: &str = include_str!("../../examples/browser/subscribe.js");
const PAGE: &str = include_str!("page.html");

/// A PostgreSQL server of its own, a server with the feed and a page, and nginx with a path for
/// each.
pub struct Stand {
    pub postgres: PostgresServer,
    pub nginx: Nginx,
    server: Option<HttpServer>,
    pub address: SocketAddr,
    last: u64,
}

impl Stand {
    pub fn start() -> Self {
        let postgres = PostgresServer::start();
        let mut connection = PgConnection::establish(&postgres.url()).unwrap();
        migrate(&mut connection).unwrap();
        let server = HttpServer::start(router(&postgres));
        let address = server.address;
        let nginx = Nginx::start(&format!(
            "location / {{ proxy_pass http://{address}; }}\n\
             location /shop/ {{ proxy_pass http://{address}/feeds/; }}"
        ));
        Self {
            postgres,
            nginx,
            server: Some(server),
            address,
            last: 0,
        }
    }

    pub fn stop_server(&mut self) {
        self.server = None;
    }

    pub fn start_server(&mut self) {
        self.server = Some(HttpServer::start_at(self.address, router(&self.postgres)));
    }

    /// Commits the next order. Returns its number, and the time after its commit.
    pub fn ship(&mut self) -> (u64, Instant) {
        self.last += 1;
        let mut connection = PgConnection::establish(&self.postgres.url()).unwrap();
        let shipped = OrderShipped { order: self.last };
        MessageDispatcher::<Orders>::new()
            .dispatch(&mut connection, &shipped)
            .unwrap();
        (self.last, Instant::now())
    }

    pub fn ship_several(&mut self, number: usize) {
        for _ in 0..number {
            self.ship();
        }
    }

    /// Returns the numbers of all orders.
    pub fn shipped(&self) -> Vec<u64> {
        (1..=self.last).collect()
    }
}

/// Returns how long a server or a database stays away: 5 seconds, or `OUTAGE_SECONDS`.
pub fn outage() -> Duration {
    let seconds = std::env::var("OUTAGE_SECONDS");
    Duration::from_secs(seconds.map_or(5, |seconds| seconds.parse().unwrap()))
}

/// Serves the feed at `/feeds`, and for pages of other origins at `/shared`.
fn router(postgres: &PostgresServer) -> Router {
    let feed = || {
        let url = postgres.url();
        let connect = move || PgConnection::establish(&url);
        // At each heartbeat, a stream notices that the database is away.
        let limits = Limits::default().heartbeat_interval(Duration::from_secs(1));
        let feed = Feed::new(connect, ["orders"]).unwrap();
        feed.public().limits(limits)
    };
    let shared = feed().nested_at("/shared").unwrap();
    let script = [(CONTENT_TYPE, "text/javascript")];
    Router::new()
        .route("/", get(|| async { Html(PAGE) }))
        .route(
            "/subscribe.js",
            get(move || async move { (script, SUBSCRIBE) }),
        )
        .merge(feed().nested_at("/feeds").unwrap())
        .merge(shared.layer(CorsLayer::new().allow_origin(tower_http::cors::Any)))
}
