//! Leases: their protocol, and the consumers that hold them.

pub mod consumers;
pub mod ending;
pub mod protocol;

use std::time::Duration;

use persisting_message_bus::backend::{Lease, LeaseRequest, MessageConsumerState};
use persisting_message_bus::{Error, Position};

use crate::{CONSUMER, stored_consumer};

pub const HOUR: Duration = Duration::from_secs(3_600);

pub fn request<'a>(owner: &'a str, duration: Duration) -> LeaseRequest<'a> {
    LeaseRequest {
        consumer: "all",
        topic: "orders",
        segment: None,
        owner,
        duration,
        identity: Default::default(),
        hands_out: false,
    }
}

pub fn acquire(bus: &mut impl MessageConsumerState, owner: &str) -> Result<Lease, Error> {
    bus.acquire(&request(owner, HOUR))
}

/// Acquires a lease whose holder has a lease duration of zero.
pub fn steal(bus: &mut impl MessageConsumerState, consumer: &str, topic: &str) {
    let request = LeaseRequest {
        consumer,
        topic,
        segment: None,
        owner: "thief",
        duration: HOUR,
        identity: Default::default(),
        hands_out: false,
    };
    bus.acquire(&request).unwrap();
}

fn cursor(bus: &mut impl MessageConsumerState) -> Option<i64> {
    let status = stored_consumer(bus, CONSUMER);
    status.cursor.map(Position::get)
}
