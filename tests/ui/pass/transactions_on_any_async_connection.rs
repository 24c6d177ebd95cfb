//! A function that is generic over the async connection returns a boxed future, because the compiler
//! cannot show that the future of a generic `async fn` with a transaction is `Send` (rust#100013).

use std::pin::Pin;

use diesel::pg::Pg;
use diesel_async::{AsyncConnection, AsyncPgConnection};
use persisting_message_bus::asynchronous::MessageDispatcher;
use persisting_message_bus::{Error, Topic};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPlaced {}

#[derive(Topic)]
#[topic(name = "orders")]
enum Orders {
    OrderPlaced(OrderPlaced),
}

#[derive(Debug)]
struct Failure;

impl From<Error> for Failure {
    fn from(_: Error) -> Self {
        Self
    }
}

impl From<diesel::result::Error> for Failure {
    fn from(_: diesel::result::Error) -> Self {
        Self
    }
}

fn place<C>(connection: &mut C) -> Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + '_>>
where
    C: AsyncConnection<Backend = Pg> + 'static,
{
    Box::pin(async move {
        let orders = MessageDispatcher::<Orders>::new();
        connection
            .transaction(async |connection| {
                orders.dispatch(connection, &OrderPlaced {}).await?;
                Ok(())
            })
            .await
    })
}

fn spawn(mut connection: AsyncPgConnection) {
    let _task = tokio::spawn(async move { place(&mut connection).await });
}

fn main() {}
