//! Consumers that get another name.

use persisting_message_bus::backend::{ConsumerRow, MessageConsumerState};
use persisting_message_bus::operate::{MessageFailures, ParkedSelector};
use persisting_message_bus_tests::databases::Database;

use super::handling::{MESSAGES, place};
use super::operating::{divided, take, undivided};
use super::parking::{Poisoned, parking};
use super::{division, key, segments};

pub fn a_renamed_consumer_keeps_its_segments_and_failures<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    place(&mut bus, 0..MESSAGES);
    let poisoned = Poisoned::new();
    let mut consumer = parking("all", &poisoned);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 99);
    let before = segments(&mut bus, "all");
    assert!(bus.rename("all", "other").unwrap());
    assert_eq!(bus.stored_consumer(key("all")).unwrap(), None);
    let after = segments(&mut bus, "other");
    let place_of = |row: &ConsumerRow| row.place();
    let (before, after): (Vec<_>, Vec<_>) = (
        before.iter().map(place_of).collect(),
        after.iter().map(place_of).collect(),
    );
    assert_eq!(after, before);
    assert_eq!(bus.count_parked(key("other")).unwrap(), 1);
    place(&mut bus, 100..110);
    poisoned.cure();
    assert_eq!(bus.redrive(key("other"), ParkedSelector::All).unwrap(), 1);
    let mut renamed = parking("other", &poisoned);
    assert_eq!(renamed.handle_new_messages(&mut bus).unwrap(), 11);
    assert_eq!(poisoned.numbers(), Vec::from_iter(0..110));
}

pub fn a_consumer_with_a_held_segment_is_not_renamed<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    place(&mut bus, 0..MESSAGES);
    let mut consumer = divided("all");
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 100);
    let lease = take(&mut bus, "all", 3);
    let error = bus.rename("all", "other").unwrap_err();
    assert!(error.is_lease_held(), "{error}");
    let text = error.to_string();
    assert!(text.contains("\"all\", segment 3"), "{text}");
    assert_eq!(segments(&mut bus, "all").len(), 4);
    assert_eq!(division(&mut bus, "other"), None);
    bus.release(&lease).unwrap();
    assert!(bus.rename("all", "other").unwrap());
    let mut renamed = divided("other");
    assert_eq!(renamed.handle_new_messages(&mut bus).unwrap(), 0);
}

pub fn a_name_with_a_slash_is_not_a_segment<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    place(&mut bus, 0..MESSAGES);
    assert_eq!(divided("all").handle_new_messages(&mut bus).unwrap(), 100);
    let before = segments(&mut bus, "all");
    // This is also the name of a segment.
    assert_eq!(
        undivided("all/3").handle_new_messages(&mut bus).unwrap(),
        100
    );
    let divided_too = divided("all/3").handle_new_messages(&mut bus).unwrap();
    assert_eq!(divided_too, 0, "it is divided at its cursor");
    assert!(bus.rename("all/3", "all/2").unwrap());
    assert_eq!(segments(&mut bus, "all/2").len(), 4);
    let after = segments(&mut bus, "all");
    let epochs = |rows: &[ConsumerRow]| -> Vec<_> {
        rows.iter()
            .map(|row| (row.lease_epoch, row.cursor))
            .collect()
    };
    assert_eq!(epochs(&after), epochs(&before));
    place(&mut bus, 100..110);
    for name in ["all", "all/2"] {
        assert_eq!(divided(name).handle_new_messages(&mut bus).unwrap(), 10);
    }
}
