//! The compiler infers the result of a handler.

use std::sync::mpsc::channel;

use diesel::{RunQueryDsl, SqliteConnection};
use persisting_message_bus::handler::HandlerError;
use persisting_message_bus::{Message, MessageConsumer, Topic};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPlaced {}

#[derive(Topic)]
#[topic(name = "orders")]
enum Orders {
    OrderPlaced(OrderPlaced),
}

type Orderly = MessageConsumer<Orders>;

fn by_name(_: &Message<Orders>) -> Result<(), HandlerError> {
    Ok(())
}

fn with_a_boxed_error(
    connection: &mut SqliteConnection,
    _: &Message<Orders>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    diesel::sql_query("SELECT 1").execute(connection)?;
    Ok(())
}

fn main() {
    let (sender, _receiver) = channel();
    let _ = Orderly::external("all", |_: &Message<Orders>| Ok(()));
    let _ = Orderly::external("all", |_| Ok(()));
    let _ = Orderly::external("all", move |_: &Message<Orders>| Ok(sender.send(1)?));
    let _ = Orderly::external("all", |_: &Message<Orders>| Err("no".into()));
    let _ = Orderly::external("all", |_: &Message<Orders>| panic!("no"));
    let _ = Orderly::external("all", |message: &Message<Orders>| {
        if message.is_replay() {
            return Err(anyhow::anyhow!("no").into());
        }
        "1".parse::<i32>()?;
        Ok(())
    });
    let _ = Orderly::external("all", by_name).before_replay(|| Ok(()));
    let _ = Orderly::transactional("all", with_a_boxed_error);
    let _ = Orderly::transactional("all", |connection: &mut SqliteConnection, _| {
        diesel::sql_query("SELECT 1").execute(connection)?;
        Ok(())
    })
    .before_replay(|_| Ok(()));
    let _ = Orderly::transactional_pages("all", |_: &mut SqliteConnection, _| Ok(()));
}
