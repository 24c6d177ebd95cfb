//! DATABASE_URL=postgres://... cargo run --bin axum_shop_on_postgres --features async
//!
//! `axum_shop` on PostgreSQL, without libpq. Several processes can share the database: a notification
//! wakes the consumers of all of them, and one process at a time runs each consumer.

#[path = "on_postgres.rs"]
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
