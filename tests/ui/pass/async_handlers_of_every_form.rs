//! Async handlers of every form, with the types that the compiler infers.

use diesel_async::AsyncPgConnection;
use diesel_async::pooled_connection::deadpool::{Object, Pool};
use persisting_message_bus::asynchronous::{MessageConsumer, Runner};
use persisting_message_bus::handler::HandlerError;
use persisting_message_bus::{Message, Topic};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPlaced {}

#[derive(Topic)]
#[topic(name = "orders")]
enum Orders {
    OrderPlaced(OrderPlaced),
}

type Pooled = Object<AsyncPgConnection>;

async fn mail(_: &Message<Orders>) -> Result<(), HandlerError> {
    Ok(())
}

async fn write(_: &mut AsyncPgConnection, _: &Message<Orders>) -> Result<(), HandlerError> {
    Err(std::fmt::Error)?
}

async fn write_page(_: &mut Pooled, _: &[Message<Orders>]) -> Result<(), HandlerError> {
    Ok(())
}

fn consumers(pool: Pool<AsyncPgConnection>) {
    let mut captured = String::from("captured");
    let _running = Runner::on_pool(pool)
        .consumer(MessageConsumer::<Orders>::external("a", mail))
        .consumer(MessageConsumer::external("b", mail).before_replay(async || Ok(())))
        .consumer(MessageConsumer::<Orders>::external("c", async |_| panic!()))
        .consumer(MessageConsumer::<Orders>::external("d", async |_| Err("failed".into())))
        .consumer(MessageConsumer::<Orders>::external("e", async move |message| {
            captured.push_str(&message.message_id().to_string());
            mail(message).await
        }))
        .consumer(MessageConsumer::<Orders>::external("f", |message: &Message<Orders>| {
            let id = message.message_id();
            async move {
                let _ = id;
                Ok(())
            }
        }))
        .consumer(MessageConsumer::<Orders>::transactional(
            "g",
            async |connection: &mut Pooled, message| write(connection, message).await,
        ))
        .consumer(
            MessageConsumer::transactional_pages("h", write_page)
                .before_replay(async |_: &mut Pooled| Ok(())),
        )
        .start();
}

fn main() {}
