use persisting_message_bus::backend::MessageConsumerState;
use persisting_message_bus::handler::{External, HandlerError};
use persisting_message_bus::operate::ConsumerKey;
use persisting_message_bus::{Message, MessageConsumer, StartAt};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};

use super::failing::place;
use super::{CONSUMER, consume, ignore, orders};

type Handler = fn(&Message<Orders>) -> Result<(), HandlerError>;

fn consumer(name: &str) -> MessageConsumer<Orders, External<Handler>> {
    MessageConsumer::<Orders>::external(name, ignore::<Message<Orders>> as Handler)
}

pub fn a_paused_consumer_handles_nothing_until_it_is_resumed<D: Database>() {
    let (database, mut bus) = place::<D>(1..4);
    assert_eq!(consume(&mut bus, "all"), [1, 2, 3]);
    assert!(consumer("all").pause(&mut bus).unwrap());
    orders()
        .dispatch(&mut bus, &OrderPlaced::number(4))
        .unwrap();
    assert!(consume(&mut bus, "all").is_empty());
    assert!(consume(&mut database.connect(), "all").is_empty());
    assert!(consumer("all").resume(&mut bus).unwrap());
    assert_eq!(consume(&mut bus, "all"), [4]);
}

pub fn a_pause_keeps_its_time_and_applies_to_one_consumer<D: Database>() {
    let (_database, mut bus) = place::<D>(1..2);
    for name in ["all", "other"] {
        consume(&mut bus, name);
    }
    let paused_at = |bus: &mut D::Bus, name| {
        let stored = bus
            .stored_consumer(ConsumerKey {
                consumer: name,
                topic: "orders",
            })
            .unwrap()
            .unwrap();
        stored.paused_at
    };
    consumer("all").pause(&mut bus).unwrap();
    let first = paused_at(&mut bus, "all");
    assert!(first.is_some());
    consumer("all").pause(&mut bus).unwrap();
    assert_eq!(paused_at(&mut bus, "all"), first);
    assert_eq!(paused_at(&mut bus, "other"), None);
    consumer("all").resume(&mut bus).unwrap();
    assert_eq!(paused_at(&mut bus, "all"), None);
}

pub fn pause_and_resume_are_idempotent<D: Database>() {
    let (_database, mut bus) = place::<D>(1..4);
    consume(&mut bus, "all");
    for _ in 0..2 {
        assert!(bus.resume(CONSUMER).unwrap());
    }
    for _ in 0..2 {
        assert!(bus.pause(CONSUMER).unwrap());
    }
}

pub fn a_consumer_that_never_ran_cannot_be_paused<D: Database>() {
    let (_database, mut bus) = place::<D>(1..2);
    assert!(!consumer("all").pause(&mut bus).unwrap());
    assert_eq!(consume(&mut bus, "all"), [1]);
}

pub fn a_paused_consumer_can_be_reset<D: Database>() {
    let (_database, mut bus) = place::<D>(1..4);
    consume(&mut bus, "all");
    let mut all = consumer("all");
    all.pause(&mut bus).unwrap();
    all.reset(&mut bus, StartAt::Start).unwrap();
    assert!(consume(&mut bus, "all").is_empty());
    all.resume(&mut bus).unwrap();
    assert_eq!(consume(&mut bus, "all"), [1, 2, 3]);
}
