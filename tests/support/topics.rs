//! Topics to test with.

use std::cell::RefCell;

use persisting_message_bus::{EventSet, Topic};
use serde::{Deserialize, Deserializer, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrderPlaced {
    pub order: u64,
    pub note: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrderShipped {
    pub order: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrderCancelled {
    pub order: u64,
    pub reason: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Topic)]
#[topic(name = "orders")]
pub enum Orders {
    OrderPlaced(OrderPlaced),
    #[message(name = "OrderShipped", alias = "OrderSent")]
    Shipped(OrderShipped),
    Cancelled(Box<OrderCancelled>),
}

/// What is shipped or cancelled.
#[derive(Debug, Clone, PartialEq, EventSet)]
#[event_set(topic = Orders)]
pub enum Closed {
    Shipped(OrderShipped),
    Cancelled(OrderCancelled),
}

impl OrderPlaced {
    pub fn number(order: u64) -> Self {
        Self {
            order,
            note: String::new(),
        }
    }
}

impl Orders {
    pub fn order(&self) -> u64 {
        match self {
            Self::OrderPlaced(placed) => placed.order,
            Self::Shipped(shipped) => shipped.order,
            Self::Cancelled(cancelled) => cancelled.order,
        }
    }
}

/// A second topic, to be in the way.
#[derive(Debug, Clone, PartialEq, Topic)]
#[topic(name = "payments")]
pub enum Payments {
    Paid(Paid),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Paid {
    pub order: u64,
}

/// A topic whose messages run something when they are decoded: between the lease and the handler.
#[derive(Debug, Topic)]
#[topic(name = "tripwires")]
pub enum Tripwires {
    Tripwire(Tripwire),
}

#[derive(Debug, Serialize)]
pub struct Tripwire {}

type Tripped = Box<dyn FnOnce()>;

thread_local! {
    static TRIPPED: RefCell<Option<Tripped>> = const { RefCell::new(None) };
}

impl Tripwire {
    /// What the next decoding on this thread runs.
    pub fn on_next_decode(run: impl FnOnce() + 'static) {
        TRIPPED.set(Some(Box::new(run)));
    }
}

impl<'de> Deserialize<'de> for Tripwire {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde::de::IgnoredAny::deserialize(deserializer)?;
        if let Some(run) = TRIPPED.take() {
            run();
        }
        Ok(Self {})
    }
}
