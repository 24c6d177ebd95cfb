//! Keys of messages, and their slots.

use persisting_message_bus::backend::{MAX_NAME_LENGTH, Slot};
use persisting_message_bus::{Message, MessageConsumer, MessageDispatcher};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::topics::parcels::{ParcelSent, Parcels, VanLeft};
use serde_json::Value;

use super::stored;

const EMPTY: VanLeft = VanLeft {
    parcels: Vec::new(),
};

fn parcels() -> MessageDispatcher<Parcels> {
    MessageDispatcher::new()
}

/// Returns the slots that messages with these keys must have.
fn slots(keys: &[Option<&str>]) -> Vec<i16> {
    let slots = keys.iter().map(|key| key.map_or(Slot::NONE, Slot::of));
    slots.map(Slot::get).collect()
}

/// Checks the keys of all stored messages: in the headers, for a consumer, and in the slots.
fn expect_keys<D: Database>(database: &D, keys: &[Option<&str>]) {
    let mut bus = database.connect();
    let messages = stored(&mut bus, "parcels");
    let in_headers = messages.iter().map(|(_, raw)| {
        let headers: Value = serde_json::from_str(&raw.headers).unwrap();
        headers.get("__message_key").cloned()
    });
    let expected = keys.iter().map(|key| key.map(Value::from));
    assert!(in_headers.eq(expected));
    let copied = messages.iter().map(|(_, raw)| raw.key_slot.get());
    assert!(copied.eq(slots(keys)));
    let mut handled = Vec::new();
    let mut consumer = MessageConsumer::<Parcels>::external("all", |message: &Message<Parcels>| {
        handled.push(message.key().map(String::from));
        Ok(())
    });
    consumer.handle_new_messages(&mut bus).unwrap();
    drop(consumer);
    assert!(
        handled
            .iter()
            .map(Option::as_deref)
            .eq(keys.iter().copied())
    );
    assert_eq!(database.key_slots(), slots(keys));
}

pub fn a_dispatched_message_has_its_key_in_the_header_and_the_slot<D: Database>() {
    let database = D::create();
    let bus = &mut database.connect();
    let longest = "\u{1f980}".repeat(MAX_NAME_LENGTH);
    let keys = ["4711", "Z\u{fc}rich \"1\" \\ 2", &longest];
    for key in keys {
        parcels().dispatch(bus, &ParcelSent::with_key(key)).unwrap();
    }
    parcels().dispatch(bus, &EMPTY).unwrap();
    let sent = ParcelSent::with_key("7");
    let left = VanLeft {
        parcels: vec![sent.parcel.clone()],
    };
    parcels().dispatch(bus, &left).unwrap();
    parcels().dispatch(bus, &Parcels::from(sent)).unwrap();
    let [first, second, third] = keys.map(Some);
    expect_keys(
        &database,
        &[first, second, third, None, Some("7"), Some("7")],
    );
}

/// PostgreSQL stores batches of these sizes in different ways.
pub fn the_messages_of_a_batch_have_their_keys_whatever_its_size<D: Database>() {
    let database = D::create();
    let bus = &mut database.connect();
    let numbers: Vec<_> = (0..4_500).map(|number| number.to_string()).collect();
    let mut expected = Vec::new();
    for size in [2, 600, numbers.len()] {
        let keys = &numbers[..size];
        let mut batch: Vec<Parcels> = vec![EMPTY.into()];
        batch.extend(keys.iter().map(|key| ParcelSent::with_key(key).into()));
        parcels().dispatch_batch(bus, &batch).unwrap();
        expected.push(None);
        expected.extend(keys.iter().map(|key| Some(&**key)));
    }
    // All of them have the same key, or none.
    let same = vec![ParcelSent::with_key("same"); 3];
    parcels().dispatch_batch(bus, &same).unwrap();
    parcels().dispatch_batch(bus, [EMPTY, EMPTY]).unwrap();
    expected.extend([Some("same"); 3]);
    expected.extend([None; 2]);
    expect_keys(&database, &expected);
}

pub fn a_key_that_cannot_be_stored_is_refused<D: Database>() {
    let database = D::create();
    let bus = &mut database.connect();
    let long = "a".repeat(MAX_NAME_LENGTH + 1);
    for key in ["", " a", "a\n", "\u{200b}", "a\0b", &long] {
        let sent = ParcelSent::with_key(key);
        let error = parcels().dispatch(bus, &sent).unwrap_err();
        assert!(error.is_invalid_name(), "{error}");
        let text = error.to_string();
        assert!(
            text.contains("the key") && text.contains("`parcel`"),
            "{text}"
        );
        let van = VanLeft {
            parcels: vec![sent.parcel],
        };
        let batch = [Parcels::from(EMPTY), van.into()];
        let error = parcels().dispatch_batch(bus, &batch).unwrap_err();
        assert!(error.to_string().contains("`fn first_in_van`"), "{error}");
    }
    expect_keys(&database, &[]);
}
