//! A feed of the database that fails over.

use diesel::PgConnection;
use diesel::r2d2::{ConnectionManager, Pool};
use persisting_message_bus_http::Feed;
use persisting_message_bus_tests::http_server::HttpServer;

pub fn serve_feed(connections: Pool<ConnectionManager<PgConnection>>) -> HttpServer {
    let feed = Feed::new(move || connections.get(), ["orders"]).unwrap();
    HttpServer::start(feed.public().router())
}
