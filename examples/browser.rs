//! cargo run --bin browser --features http
//!
//! Orders appear in a web page as they are placed: open http://127.0.0.1:7374. The page subscribes
//! to a public feed with `subscribe.js`, and continues after the last order when this program is
//! killed and started again. Pages of other origins can read the feed if `--origin` names them.

mod http_server;

use std::error::Error;
use std::thread;
use std::time::Duration;

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, HeaderValue};
use axum::response::Html;
use axum::routing::get;
use clap::Parser;
use diesel::prelude::*;
use persisting_message_bus::backend::MessageSource;
use persisting_message_bus::sql::{migrate, sqlite::Settings};
use persisting_message_bus::{MessageDispatcher, Topic};
use persisting_message_bus_http::Feed;
use serde::{Deserialize, Serialize};
use tower_http::cors::{Any, CorsLayer};

type Result<T = ()> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Orders that appear in a web page
#[derive(Parser)]
struct Arguments {
    /// The address of the page and the feed
    #[arg(long, default_value = "127.0.0.1:7374")]
    address: String,
    /// Another origin whose pages can read the feed, such as https://shop.example; repeatable
    #[arg(long)]
    origin: Vec<HeaderValue>,
}

#[derive(Serialize, Deserialize)]
struct OrderPlaced {
    order: i64,
}

#[derive(Topic)]
#[topic(name = "orders")]
enum Orders {
    OrderPlaced(OrderPlaced),
}

fn connect() -> Result<SqliteConnection> {
    let mut connection = SqliteConnection::establish("browser.db")?;
    Settings::default().apply(&mut connection)?;
    Ok(connection)
}

fn main() -> Result {
    let Arguments { address, origin } = Arguments::parse();
    let mut connection = connect()?;
    migrate(&mut connection)?;

    // docs: cors
    let cors = CorsLayer::new()
        .allow_origin(origin) // the origins of the pages, such as https://shop.example
        .allow_headers(Any) // for `fetch`, such as Authorization
        .expose_headers(["feed-next", "feed-head"].map(HeaderName::from_static));
    let feed = Feed::new(connect, [Orders::NAME])?.public();
    let feed = feed.nested_at("/feeds")?.layer(cors);
    // docs: end
    let script = (
        [(CONTENT_TYPE, "text/javascript")],
        include_str!("browser/subscribe.js"),
    );
    let app = axum::Router::new()
        .route("/", get(async || Html(include_str!("browser/index.html"))))
        .route("/subscribe.js", get(async move || script))
        .merge(feed);
    let runtime = tokio::runtime::Runtime::new()?;
    let listener = runtime.block_on(tokio::net::TcpListener::bind(&address))?;
    println!("http://{}", listener.local_addr()?);
    runtime.spawn(http_server::serve(listener, app));

    let orders = MessageDispatcher::<Orders>::new();
    // In the first run, the first order has the number 1.
    for order in connection.last_position()?.get() + 1.. {
        orders.dispatch(&mut connection, &OrderPlaced { order })?;
        thread::sleep(Duration::from_secs(1));
    }
    Ok(())
}
