//! The published messages: about 200 bytes of JSON and 150 bytes of headers.

use std::iter;

use persisting_message_bus::{EventSet, Topic};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The type of nine in ten messages.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OrderPlaced {
    pub order: u64,
    pub customer: Uuid,
    pub total_cents: i64,
    pub currency: String,
    pub express: bool,
    pub address: String,
}

/// The type of one in ten messages.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OrderCancelled {
    pub order: u64,
    pub customer: Uuid,
    pub refund_cents: i64,
    pub reason: String,
}

#[derive(Debug, Clone, Topic)]
#[topic(name = "orders")]
pub enum Orders {
    OrderPlaced(OrderPlaced),
    OrderCancelled(OrderCancelled),
}

/// The messages that are one in ten.
#[derive(Debug, Clone, EventSet)]
#[event_set(topic = Orders)]
pub enum Cancellations {
    OrderCancelled(OrderCancelled),
}

/// Returns the names of the topic and of `topics - 1` more topics.
pub fn names_of_topics(topics: usize) -> Vec<String> {
    let others = (1..topics).map(|topic| format!("{}-{topic}", Orders::NAME));
    iter::once(Orders::NAME.to_owned()).chain(others).collect()
}

impl Orders {
    /// Returns messages in the order of their numbers.
    pub fn numbered(numbers: impl IntoIterator<Item = u64>) -> Vec<Self> {
        numbers.into_iter().map(Self::number).collect()
    }

    pub fn order(&self) -> u64 {
        match self {
            Self::OrderPlaced(placed) => placed.order,
            Self::OrderCancelled(cancelled) => cancelled.order,
        }
    }

    pub fn number(order: u64) -> Self {
        let customer = Uuid::from_u128(u128::from(order) << 64 | 0x5ca1_ab1e);
        if order % 10 == 9 {
            return Self::OrderCancelled(OrderCancelled {
                order,
                customer,
                refund_cents: 12_50,
                reason: "The parcel came back: no one was at home, three times in a row, and the \
                         customer did not answer."
                    .to_owned(),
            });
        }
        Self::OrderPlaced(OrderPlaced {
            order,
            customer,
            total_cents: 12_50,
            currency: "EUR".to_owned(),
            express: order.is_multiple_of(2),
            address: "Lighthouse Lane 17, second floor, 20457 Hamburg, Germany".to_owned(),
        })
    }
}
