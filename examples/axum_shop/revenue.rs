//! The revenue: one row, to which each order is added once.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use serde::Serialize;

use crate::database::{Connection, Pool, shop_revenue};
use crate::service::Result;

#[derive(Debug, Queryable, Serialize)]
pub struct Revenue {
    orders: i64,
    cents: i64,
}

pub async fn add(connection: &mut Connection, cents: i64) -> QueryResult<usize> {
    diesel::update(shop_revenue::table)
        .set((
            shop_revenue::orders.eq(shop_revenue::orders + 1),
            shop_revenue::cents.eq(shop_revenue::cents + cents),
        ))
        .execute(connection)
        .await
}

pub async fn read(pool: &Pool) -> Result<Revenue> {
    let columns = (shop_revenue::orders, shop_revenue::cents);
    let revenue = shop_revenue::table.select(columns);
    Ok(revenue.first(&mut pool.get().await?).await?)
}
