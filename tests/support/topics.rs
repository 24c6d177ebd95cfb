//! Topics for tests.

use std::cell::RefCell;

use persisting_message_bus::backend::{RawMessage, Slot};
use persisting_message_bus::{EventSet, Topic};
use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

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

/// The shipped and cancelled orders.
#[derive(Debug, Clone, PartialEq, EventSet)]
#[event_set(topic = Orders)]
pub enum Closed {
    Shipped(OrderShipped),
    Cancelled(OrderCancelled),
}

/// Returns a message of a type that the topic `orders` has, as it is stored.
pub fn raw_message(topic: &str, payload: String) -> RawMessage {
    RawMessage {
        message_id: Uuid::now_v7(),
        topic: topic.to_owned().into(),
        message_type: "OrderPlaced".into(),
        message_version: 1,
        payload,
        headers: "{}".to_owned(),
        published_at: chrono::Utc::now(),
        correlation_id: None,
        key_slot: Slot::NONE,
    }
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

/// A second topic in the same table.
#[derive(Debug, Clone, PartialEq, Topic)]
#[topic(name = "payments")]
pub enum Payments {
    Paid(Paid),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Paid {
    pub order: u64,
}

/// A topic of numbers.
#[derive(Debug, Topic)]
#[topic(name = "measurements")]
pub enum Measurements {
    Measured(Measured),
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Measured {
    pub value: f64,
}

/// Messages of two topics: paid, shipped and cancelled orders.
#[derive(Debug, Clone, PartialEq, EventSet)]
#[event_set(topic = Orders)]
pub enum Ledger {
    Shipped(OrderShipped),
    Cancelled(OrderCancelled),
    #[event_set(topic = Payments)]
    Paid(Paid),
}

/// Shipped orders, and unknown messages that a newer program may have published.
#[derive(Debug, Clone, PartialEq, EventSet)]
#[event_set(topic = Orders)]
pub enum ShippedOrUnknown {
    Shipped(OrderShipped),
    #[message(unknown)]
    Unknown(RawMessage),
}

/// The topic `orders` in a program that tolerates messages of newer programs.
#[derive(Debug, Clone, PartialEq, Topic)]
#[topic(name = "orders")]
pub enum TolerantOrders {
    OrderPlaced(OrderPlaced),
    #[message(unknown)]
    Unknown(Box<RawMessage>),
}

/// The topic `orders` in programs that have retired two of its types.
pub mod retired {
    use super::*;

    #[derive(Debug, Clone, PartialEq, Topic)]
    #[topic(name = "orders", retired = "CouponUsed", retired = "OrderTeleported")]
    pub enum Orders {
        OrderPlaced(OrderPlaced),
        OrderShipped(OrderShipped),
    }

    #[derive(Debug, Clone, PartialEq, Topic)]
    #[topic(name = "orders", retired = "CouponUsed", retired = "OrderTeleported")]
    pub enum TolerantOrders {
        OrderPlaced(OrderPlaced),
        #[message(unknown)]
        Unknown(RawMessage),
    }

    #[derive(Debug, Clone, PartialEq, EventSet)]
    #[event_set(topic = Orders)]
    pub enum ShippedOrUnknown {
        OrderShipped(OrderShipped),
        #[message(unknown)]
        Unknown(RawMessage),
    }
}

/// A message in its third version. One earlier version is read as JSON, and the other one as a
/// struct.
pub mod invoices {
    use super::*;
    use serde_json::Value;

    pub mod v2 {
        use super::*;

        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        pub struct InvoiceSent {
            pub invoice: u64,
            pub euros: f64,
        }
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    pub struct InvoiceSent {
        pub invoice: u64,
        pub cents: i64,
        pub currency: String,
    }

    #[derive(Debug, Clone, PartialEq, Topic)]
    #[topic(name = "invoices")]
    pub enum Invoices {
        #[message(version = 3, previous(1 = json(number_of_invoice), 2 = v2::InvoiceSent))]
        InvoiceSent(InvoiceSent),
        Reminded(Reminded),
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    pub struct Reminded {
        pub invoice: u64,
    }

    /// In version 1, the number was a text under another name.
    pub fn number_of_invoice(
        mut payload: Value,
    ) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
        let number = payload["number"].as_str().ok_or("the number is no text")?;
        payload["invoice"] = number.parse::<u64>()?.into();
        Ok(payload)
    }

    impl From<v2::InvoiceSent> for InvoiceSent {
        fn from(sent: v2::InvoiceSent) -> Self {
            Self {
                invoice: sent.invoice,
                cents: (sent.euros * 100.0).round() as i64,
                currency: "EUR".to_owned(),
            }
        }
    }

    #[derive(Debug, Clone, PartialEq, EventSet)]
    #[event_set(topic = Invoices)]
    pub enum Sent {
        InvoiceSent(InvoiceSent),
    }
}

/// A topic with a key.
pub mod parcels {
    use super::*;
    use persisting_message_bus::MessageKey;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, MessageKey)]
    pub struct ParcelId(pub String);

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    pub struct ParcelSent {
        pub parcel: ParcelId,
    }

    /// Not every van has a parcel in it.
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    pub struct VanLeft {
        pub parcels: Vec<ParcelId>,
    }

    #[derive(Debug, Clone, PartialEq, Topic)]
    #[topic(name = "parcels", key = parcel: ParcelId)]
    pub enum Parcels {
        ParcelSent(ParcelSent),
        #[message(key = fn first_in_van)]
        VanLeft(VanLeft),
    }

    fn first_in_van(van: &VanLeft) -> Option<&ParcelId> {
        van.parcels.first()
    }

    impl ParcelSent {
        pub fn with_key(key: &str) -> Self {
            let parcel = ParcelId(key.to_owned());
            Self { parcel }
        }
    }
}

/// A topic whose messages run a closure when they are decoded: after the lease was acquired, and
/// before the handler.
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
    /// Sets the closure that the next decoding on this thread runs.
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
