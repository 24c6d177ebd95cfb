//! cargo run --bin quickstart
//!
//! Places orders and adds up the revenue, in `quickstart.db` in this folder. Run it again: the
//! consumer resumes where it stopped, and handles only the new orders.

use std::error::Error;

use diesel::{Connection, SqliteConnection};
use persisting_message_bus::sql::{migrate, sqlite::Settings};
use persisting_message_bus::{EventSet, Message, MessageConsumer, MessageDispatcher, Topic};
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
struct OrderPlaced {
    order: u32,
    total_cents: i64,
}

#[derive(Debug, Serialize, Deserialize)]
struct OrderShipped {
    order: u32,
}

#[derive(Debug, Serialize, Deserialize)]
struct OrderCancelled {
    order: u32,
    refund_cents: i64,
}

/// The messages that the order service publishes.
#[derive(Debug, Topic)]
#[topic(name = "orders")]
enum Orders {
    OrderPlaced(OrderPlaced),
    #[message(name = "OrderShipped", alias = "OrderSent")]
    Shipped(OrderShipped),
    Cancelled(Box<OrderCancelled>),
}

/// The messages that the bookkeeper handles.
#[derive(Debug, EventSet)]
#[event_set(topic = Orders)]
enum Revenue {
    OrderPlaced(OrderPlaced),
    Cancelled(OrderCancelled),
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut connection = SqliteConnection::establish("quickstart.db")?;
    Settings::default().apply(&mut connection)?;
    migrate(&mut connection)?;
    app(&mut connection)
}

fn app(connection: &mut SqliteConnection) -> Result<(), Box<dyn Error>> {
    let orders = MessageDispatcher::<Orders>::new();
    // An application writes the order itself here, too. Either both are committed, or neither is.
    connection.immediate_transaction(|connection| {
        orders.dispatch(
            connection,
            &OrderPlaced {
                order: 1,
                total_cents: 12_50,
            },
        )?;
        orders.dispatch(
            connection,
            &OrderPlaced {
                order: 2,
                total_cents: 99_00,
            },
        )?;
        orders.dispatch(connection, &OrderShipped { order: 1 })?;
        orders.dispatch(
            connection,
            &OrderCancelled {
                order: 2,
                refund_cents: 99_00,
            },
        )
    })?;

    let mut bookkeeper = MessageConsumer::<Revenue>::external("bookkeeper", book);
    bookkeeper.handle_new_messages(connection)?;
    println!("Caught up.");
    Ok(())
}

fn book(message: &Message<Revenue>) -> Result<(), Box<dyn Error + Send + Sync>> {
    let (order, cents) = match message.payload() {
        Revenue::OrderPlaced(placed) => (placed.order, placed.total_cents),
        Revenue::Cancelled(cancelled) => (cancelled.order, -cancelled.refund_cents),
    };
    println!("{:>4}  order {order}: {cents:>6} cents", message.position());
    Ok(())
}
