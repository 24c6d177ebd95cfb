//! cargo run --bin axum_shop --features async
//!
//! A shop on axum, diesel-async and deadpool, with the database `axum_shop.db` in this folder. `POST
//! /orders` stores an order and dispatches its message in one transaction. One consumer mails each
//! order. Another one adds it to the revenue, in the transaction that moves its cursor. `/feeds/orders`
//! serves the messages to other services. Ctrl-C or SIGTERM ends the requests, and then the consumers
//! after their current messages. Kill the program at any moment and start it again: each order counts
//! once.
//!
//! curl -d '{"customer": "Ada", "total_cents": 1250}' -H 'content-type: application/json' 127.0.0.1:7375/orders
//! curl 127.0.0.1:7375/revenue
//! curl 127.0.0.1:7375/feeds/orders

#[path = "on_sqlite.rs"]
mod chosen;
mod database;
mod mailing;
mod revenue;
mod service;
mod shop;

#[tokio::main]
async fn main() -> service::Result {
    service::run().await
}
