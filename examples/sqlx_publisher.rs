//! cargo run --bin sqlx_publisher --features sqlx
//!
//! Publishes through sqlx, in `sqlx_publisher.db` in this folder: each transaction stores an order
//! and publishes its message. A consumer on a Diesel connection then mails the orders.

use std::error::Error;

use diesel::{Connection as _, SqliteConnection};
use persisting_message_bus::sql::{
    Database, StatementValue, TableSchema, migrate, sqlite::Settings,
};
use persisting_message_bus::{Message, MessageConsumer, MessageDispatcher, Topic};
use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, Connection as _};

const FILE: &str = "sqlx_publisher.db";

#[derive(Debug, Serialize, Deserialize)]
struct OrderPlaced {
    order: i64,
    total_cents: i64,
}

#[derive(Debug, Topic)]
#[topic(name = "orders")]
enum Orders {
    OrderPlaced(OrderPlaced),
}

// docs: place
/// Stores an order and publishes its message, in one transaction of sqlx.
async fn place_order(db: &mut sqlx::SqliteConnection, total_cents: i64) -> sqlx::Result<i64> {
    let mut transaction = db.begin_with("BEGIN IMMEDIATE").await?;
    let order = sqlx::query_scalar("INSERT INTO shop_orders (total_cents) VALUES (?) RETURNING id")
        .bind(total_cents)
        .fetch_one(&mut *transaction)
        .await?;
    publish(&mut transaction, &OrderPlaced { order, total_cents }).await?;
    transaction.commit().await?;
    Ok(order)
}

/// Publishes a message on the topic. A message of another topic does not compile.
async fn publish(db: &mut sqlx::SqliteConnection, message: &OrderPlaced) -> sqlx::Result<()> {
    let statement = MessageDispatcher::<Orders>::new()
        .statement(Database::Sqlite, &TableSchema::default(), message)
        .map_err(|error| sqlx::Error::Encode(error.into()))?;
    // The text depends on the names of the tables only.
    let mut query = sqlx::query(AssertSqlSafe(statement.sql()));
    for value in statement.values() {
        query = match value {
            StatementValue::Text(text) => query.bind(text),
            StatementValue::Integer(integer) => query.bind(integer),
            StatementValue::Null => query.bind(None::<&str>),
        };
    }
    query.execute(db).await.map(drop)
}
// docs: end

fn main() -> Result<(), Box<dyn Error>> {
    let mut connection = SqliteConnection::establish(FILE)?;
    Settings::default().apply(&mut connection)?;
    migrate(&mut connection)?;

    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(publish_orders())?;

    let mut mailer = MessageConsumer::external("mailer", |message: &Message<Orders>| {
        let Orders::OrderPlaced(placed) = message.payload();
        let (order, cents) = (placed.order, placed.total_cents);
        println!(
            "{:>4}  mailed order {order}: {cents} cents",
            message.position()
        );
        Ok(())
    });
    mailer.handle_new_messages(&mut connection)?;
    println!("Caught up.");
    Ok(())
}

async fn publish_orders() -> sqlx::Result<()> {
    let mut db = sqlx::SqliteConnection::connect(FILE).await?;
    sqlx::query(
        "CREATE TABLE IF NOT EXISTS shop_orders (id INTEGER PRIMARY KEY, total_cents BIGINT)",
    )
    .execute(&mut db)
    .await?;
    for total_cents in [1_250, 9_900] {
        let order = place_order(&mut db, total_cents).await?;
        println!("      placed order {order}");
    }
    db.close().await
}
