//! The requests.

use std::fmt::Display;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use diesel::prelude::*;
use diesel_async::{AsyncConnection, RunQueryDsl};
use persisting_message_bus::Topic;
use persisting_message_bus::asynchronous::MessageDispatcher;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::chosen::Wakes;
use crate::database::{Pool, shop_orders};
use crate::revenue::{self, Revenue};
use crate::service::Result;

#[derive(Debug, Serialize, Deserialize)]
pub struct OrderPlaced {
    pub order: Uuid,
    pub customer: String,
    pub total_cents: i64,
}

#[derive(Debug, Topic)]
#[topic(name = "orders")]
pub enum Orders {
    OrderPlaced(OrderPlaced),
}

#[derive(Deserialize)]
struct NewOrder {
    customer: String,
    total_cents: i64,
}

/// What the requests share.
#[derive(Clone)]
pub struct Shop {
    pool: Pool,
    orders: Arc<MessageDispatcher<Orders>>,
    wakes: Wakes,
}

impl Shop {
    pub fn new(pool: Pool, wakes: Wakes) -> Self {
        let orders = Arc::new(MessageDispatcher::new());
        Self {
            pool,
            orders,
            wakes,
        }
    }

    // docs: place
    /// Stores an order and dispatches its message, in one transaction.
    async fn place(&self, new: NewOrder) -> Result<Uuid> {
        let placed = OrderPlaced {
            order: Uuid::now_v7(),
            customer: new.customer,
            total_cents: new.total_cents,
        };
        let mut connection = self.pool.get().await?;
        let committed = connection.transaction(async |connection| {
            let row = (
                shop_orders::id.eq(placed.order.to_string()),
                shop_orders::customer.eq(&placed.customer),
                shop_orders::total_cents.eq(placed.total_cents),
            );
            diesel::insert_into(shop_orders::table)
                .values(row)
                .execute(connection)
                .await?;
            self.orders.dispatch(connection, &placed).await?;
            Result::Ok(())
        });
        committed.await?;
        self.wakes.wake(); // after the commit
        Ok(placed.order)
    }
    // docs: end
}

pub fn routes(shop: Shop) -> Router {
    Router::new()
        .route("/orders", post(place))
        .route("/revenue", get(report))
        .with_state(shop)
}

async fn place(
    State(shop): State<Shop>,
    Json(order): Json<NewOrder>,
) -> std::result::Result<(StatusCode, String), StatusCode> {
    // A task of its own, because axum drops the request when its client goes.
    let placed = tokio::spawn(async move { shop.place(order).await });
    match placed.await {
        Ok(Ok(order)) => Ok((StatusCode::CREATED, order.to_string())),
        Ok(Err(error)) => Err(failed(error)),
        Err(panicked) => Err(failed(panicked)),
    }
}

async fn report(State(shop): State<Shop>) -> std::result::Result<Json<Revenue>, StatusCode> {
    revenue::read(&shop.pool).await.map(Json).map_err(failed)
}

fn failed(error: impl Display) -> StatusCode {
    eprintln!("a request failed: {error:#}");
    StatusCode::INTERNAL_SERVER_ERROR
}
