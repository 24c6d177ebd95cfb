//! A topic with a key.

use persisting_message_bus::{EventSet, Topic};
use serde::{Deserialize, Serialize};

/// The number of different keys.
pub const KEYS: u64 = 20;

/// The topics on which orders have messages.
pub const TOPICS: [&str; 2] = ["orders", "payments"];

/// A step of an order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    pub order: u64,
    /// The steps of all orders are counted together.
    pub number: u64,
}

#[derive(Debug, Clone, PartialEq, Topic)]
#[topic(name = "orders", key = order: u64)]
pub enum Orders {
    Step(Step),
}

/// An order comes back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Returned {
    pub order: u64,
    pub number: u64,
}

/// The same topic in a program that knows one more message type.
#[derive(Debug, Clone, PartialEq, Topic)]
#[topic(name = "orders", key = order: u64)]
pub enum Moves {
    Step(Step),
    Returned(Returned),
}

/// The event set of a program that does not want the added type yet.
#[derive(Debug, Clone, PartialEq, EventSet)]
#[event_set(topic = Moves)]
pub enum Steps {
    Step(Step),
}

/// A message with the number of its order, and its own.
pub trait Numbered {
    fn numbers(&self) -> (u64, u64);
}

impl Numbered for Orders {
    fn numbers(&self) -> (u64, u64) {
        let Self::Step(step) = self;
        (step.order, step.number)
    }
}

impl Numbered for Both {
    fn numbers(&self) -> (u64, u64) {
        match self {
            Self::Step(step) => (step.order, step.number),
            Self::Paid(paid) => (paid.order, paid.number),
        }
    }
}

impl Numbered for Moves {
    fn numbers(&self) -> (u64, u64) {
        match self {
            Self::Step(step) => (step.order, step.number),
            Self::Returned(returned) => (returned.order, returned.number),
        }
    }
}

impl Numbered for Steps {
    fn numbers(&self) -> (u64, u64) {
        let Self::Step(step) = self;
        (step.order, step.number)
    }
}

/// A payment of an order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Paid {
    pub order: u64,
    pub number: u64,
}

#[derive(Debug, Clone, PartialEq, Topic)]
#[topic(name = "payments", key = order: u64)]
pub enum Payments {
    Paid(Paid),
}

/// What happens to an order, on both topics.
#[derive(Debug, Clone, PartialEq, EventSet)]
#[event_set(topic = Orders)]
pub enum Both {
    Step(Step),
    #[event_set(topic = Payments)]
    Paid(Paid),
}

/// A visit of a customer, or of an unknown person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Visit {
    pub customer: Option<u64>,
    pub number: u64,
}

#[derive(Debug, Clone, PartialEq, Topic)]
#[topic(name = "visits", key = customer: u64)]
pub enum Visits {
    Visit(Visit),
}

impl Step {
    /// Returns the step of this number. Each order has one of `KEYS` steps.
    pub fn of(number: u64) -> Self {
        Self {
            order: number % KEYS,
            number,
        }
    }
}

impl Orders {
    pub fn number(&self) -> u64 {
        let Self::Step(step) = self;
        step.number
    }
}
