//! The pool, the tables, and how consumers learn of new messages.

use diesel_async::SimpleAsyncConnection;
use diesel_async::pooled_connection::deadpool::{self, Object};
use persisting_message_bus::asynchronous::migrate;

use crate::chosen;
use crate::service::Result;

pub type Pool = deadpool::Pool<chosen::Plain>;
pub type Connection = Object<chosen::Plain>;

diesel::table! {
    shop_orders (id) {
        id -> Text,
        customer -> Text,
        total_cents -> BigInt,
    }
}

diesel::table! {
    shop_revenue (id) {
        id -> BigInt,
        orders -> BigInt,
        cents -> BigInt,
    }
}

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS shop_orders (
        id TEXT PRIMARY KEY, customer TEXT NOT NULL, total_cents BIGINT NOT NULL);
    CREATE TABLE IF NOT EXISTS shop_revenue (
        id BIGINT PRIMARY KEY, orders BIGINT NOT NULL, cents BIGINT NOT NULL);
    INSERT INTO shop_revenue VALUES (1, 0, 0) ON CONFLICT DO NOTHING";

/// Opens the pool and creates missing tables. The mailer needs three connections of the pool, and the
/// other consumer one.
pub async fn open() -> Result<Pool> {
    let pool = Pool::builder(chosen::manager()?).max_size(16).build()?;
    let mut connection = migrate(pool.get().await?).await?;
    connection.batch_execute(TABLES).await?;
    Ok(pool)
}
