//! Message types that a divided consumer does not want any more.

use persisting_message_bus::backend::{MessageConsumerState, MessageRepository, MessageSource};
use persisting_message_bus::handler::PageHandler;
use persisting_message_bus::operate::{ConsumerKey, stop_wanting};
use persisting_message_bus::{
    EventSet, MessageConsumer, MessageDispatcher, ParallelConsumer, Topic,
};
use persisting_message_bus_tests::databases::Database;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Placed {
    number: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Cancelled {
    number: u32,
}

#[derive(Debug, Clone, Topic)]
#[topic(name = "parcels")]
pub enum Parcels {
    Placed(Placed),
    Cancelled(Cancelled),
}

/// What an older program reads.
#[derive(Debug, Clone, EventSet)]
#[event_set(topic = Parcels)]
pub enum Older {
    Placed(Placed),
}

/// A newer program has retired a type.
pub mod retired {
    use super::*;

    #[derive(Debug, Clone, Topic)]
    #[topic(name = "parcels", retired = "Cancelled")]
    pub enum Parcels {
        Placed(Placed),
    }
}

fn place(bus: &mut impl MessageRepository, numbers: std::ops::Range<u32>) {
    MessageDispatcher::<Parcels>::new()
        .dispatch_batch(bus, numbers.map(|number| Placed { number }))
        .unwrap();
}

/// Lets a program that reads all types handle twenty messages, and returns its consumer.
fn read_all<B: MessageRepository + MessageSource + MessageConsumerState>(
    bus: &mut B,
) -> ParallelConsumer<Parcels, impl PageHandler<Parcels, B> + use<B>> {
    place(bus, 0..20);
    let all = || MessageConsumer::<Parcels>::external("all", |_| Ok(()));
    let mut all = ParallelConsumer::unordered(all).segments(4);
    assert_eq!(all.handle_new_messages(bus).unwrap(), 20);
    all
}

/// Lets a newer program handle some messages, and places more for each segment.
fn roll_back(bus: &mut (impl MessageRepository + MessageSource + MessageConsumerState)) {
    read_all(bus);
    let cancelled = (0..20).map(|number| Cancelled { number });
    MessageDispatcher::<Parcels>::new()
        .dispatch_batch(bus, cancelled)
        .unwrap();
    place(bus, 20..50);
}

pub fn an_unwanted_type_is_removed_from_all_segments<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    roll_back(&mut bus);
    let older = || MessageConsumer::<Older>::external("all", |_| Ok(()));
    let mut older = ParallelConsumer::unordered(older).segments(4);
    let error = older.handle_new_messages(&mut bus).unwrap_err();
    assert!(error.is_unknown_message(), "{error}");
    let key = ConsumerKey::on::<Parcels>("all");
    assert!(stop_wanting(&mut bus, key, "Cancelled").unwrap());
    assert!(!stop_wanting(&mut bus, key, "Cancelled").unwrap());
    assert_eq!(older.handle_new_messages(&mut bus).unwrap(), 30);
}

pub fn a_narrowed_event_set_is_that_of_all_segments<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    roll_back(&mut bus);
    let older = || MessageConsumer::<Older>::external("all", |_| Ok(()));
    let mut older = ParallelConsumer::unordered(older).segments(4);
    let error = older.handle_new_messages(&mut bus).unwrap_err();
    assert!(error.is_unknown_message(), "{error}");
    older.narrow_event_set(&mut bus).unwrap();
    assert_eq!(older.handle_new_messages(&mut bus).unwrap(), 30);
}

/// Lets a program handle some messages and begin to change the number of segments, and places ten more.
fn begin_change(bus: &mut (impl MessageRepository + MessageSource + MessageConsumerState)) {
    assert!(read_all(bus).resize(bus, 8).unwrap());
    place(bus, 20..30);
}

/// A type is retired by the deployment during which the number of segments changes.
pub fn a_change_goes_on_when_a_type_is_retired<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    begin_change(&mut bus);

    let after = || MessageConsumer::<retired::Parcels>::external("all", |_| Ok(()));
    let mut after = ParallelConsumer::unordered(after).segments(4);
    assert_eq!(after.handle_new_messages(&mut bus).unwrap(), 10);
    let key = ConsumerKey::on::<Parcels>("all");
    let row = bus.stored_consumer(key).unwrap().unwrap();
    assert_eq!(row.division.unwrap().to_string(), "position 8");
    assert!(after.resize(&mut bus, 2).unwrap());
}

/// A program that reads less cannot complete a change that a wider one has begun, until it is told that
/// nothing else reads.
pub fn a_change_goes_on_when_the_event_set_is_narrowed<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    begin_change(&mut bus);

    let older = || MessageConsumer::<Older>::external("all", |_| Ok(()));
    let mut older = ParallelConsumer::unordered(older).segments(4);
    assert_eq!(older.handle_new_messages(&mut bus).unwrap(), 0);
    older.narrow_event_set(&mut bus).unwrap();
    assert_eq!(older.handle_new_messages(&mut bus).unwrap(), 10);
}
