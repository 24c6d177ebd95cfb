use chrono::{DateTime, Utc};
use persisting_message_bus::{EventSet, Topic};
use serde::{Deserialize, Serialize};

/// The identity of a flight.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Flight {
    pub carrier: String,
    pub number: u32,
    pub origin: String,
    pub destination: String,
    pub scheduled: DateTime<Utc>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct FlightDeparted {
    pub flight: Flight,
    /// The delay in minutes; negative if the flight was early.
    pub delay_minutes: Option<i64>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct FlightArrived {
    pub flight: Flight,
    /// The delay in minutes; negative if the flight was early. Unknown for some diverted flights.
    pub delay_minutes: Option<i64>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct FlightCancelled {
    pub flight: Flight,
}

#[derive(Debug, Topic)]
#[topic(name = "flights")]
pub enum Flights {
    #[message(name = "FlightDeparted")]
    Departed(FlightDeparted),
    #[message(name = "FlightArrived")]
    Arrived(FlightArrived),
    #[message(name = "FlightCancelled")]
    Cancelled(FlightCancelled),
}

#[derive(Debug, EventSet)]
#[event_set(topic = Flights)]
pub enum Cancellations {
    Cancelled(FlightCancelled),
}
