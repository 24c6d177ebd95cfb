use persisting_message_bus::operate::ConsumerKey;
use std::ops::ControlFlow;

use persisting_message_bus::backend::MAX_NAME_LENGTH;
use persisting_message_bus::backend::{
    LeaseRequest, MessageConsumerState, MessageRepository, MessageSource, PageRequest, RawMessage,
    TypeFilter,
};
use persisting_message_bus::{
    Headers, Message, MessageConsumer, MessageDispatcher, OnDuplicate, Position,
};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::topics::{Measured, Measurements, OrderPlaced, Orders};

use super::consuming::raw;
use super::{consume, ignore, orders, stored};

pub fn ten_megabytes_come_back<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let note = "0123456789".repeat(1024 * 1024);
    let big = OrderPlaced { order: 1, note };
    orders().dispatch(&mut bus, &big).unwrap();
    let [(_, raw)] = &stored(&mut bus, "orders")[..] else {
        panic!("one message");
    };
    let back: OrderPlaced = serde_json::from_str(&raw.payload).unwrap();
    assert!(back == big, "the message was changed");
    assert_eq!(consume(&mut bus, "all"), [1]);
}

pub fn any_text_comes_back<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let texts = [
        "",
        "\0",
        "a\0b",
        "\u{fffd}",
        "\u{feff}bom",
        "'; DROP TABLE public_messages; --",
        "\"quoted\" \\ / \u{8}\u{c}\n\r\t",
        "ünïcödé, 日本語, עברית, 🦀, e\u{301}",
        "\u{10ffff}\u{e000}\u{2028}",
        "%s ? $1 :name",
        "null",
    ];
    for (order, text) in texts.into_iter().enumerate() {
        let placed = OrderPlaced {
            order: order as u64,
            note: text.to_owned(),
        };
        let headers = Headers::new().with("text", text).with("ключ 🔑", text);
        orders().dispatch_with(&mut bus, &placed, headers).unwrap();
    }
    let mut seen = 0;
    let mut consumer = MessageConsumer::<Orders>::external(
        "ünïcödé, 日本語, 🦀",
        |message: &persisting_message_bus::Message<Orders>| {
            let Orders::OrderPlaced(placed) = message.payload() else {
                panic!("another type");
            };
            let expected = texts[placed.order as usize];
            assert_eq!(placed.note, expected);
            let headers = message.headers()?;
            assert_eq!(headers["text"], expected);
            assert_eq!(headers["ключ 🔑"], expected);
            assert_eq!(headers.len(), 2);
            seen += 1;
            Ok(())
        },
    );
    consumer.handle_page(&mut bus).unwrap();
    drop(consumer);
    assert_eq!(seen, texts.len());
}

pub fn every_number_comes_back_to_the_last_bit<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let seed = persisting_message_bus_tests::seed();
    let numbers: Vec<f64> = {
        let mut random = fastrand::Rng::with_seed(seed);
        let bits = std::iter::repeat_with(|| f64::from_bits(random.u64(..)));
        bits.filter(|number| number.is_finite())
            .take(2_000)
            .collect()
    };
    let measurements = MessageDispatcher::<Measurements>::new();
    let batch = numbers.iter().map(|value| Measured { value: *value });
    measurements.dispatch_batch(&mut bus, batch).unwrap();
    let mut seen = Vec::new();
    let mut consumer =
        MessageConsumer::<Measurements>::external("all", |message: &Message<Measurements>| {
            let Measurements::Measured(measured) = message.payload();
            seen.push(measured.value.to_bits());
            Ok(())
        });
    while consumer.handle_page(&mut bus).unwrap() > 0 {}
    drop(consumer);
    assert!(
        seen.iter()
            .copied()
            .eq(numbers.iter().map(|number| number.to_bits()))
    );
}

pub fn messages_that_could_not_be_read_back_are_refused<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let no_version = RawMessage {
        message_version: 0,
        ..raw("OrderShipped", r#"{"order":1}"#)
    };
    let far_future = RawMessage {
        published_at: chrono::DateTime::<chrono::Utc>::MAX_UTC,
        ..raw("OrderShipped", r#"{"order":1}"#)
    };
    for message in [no_version, far_future] {
        let error = bus.persist(&[message], OnDuplicate::Fail).unwrap_err();
        assert!(error.to_string().contains("nothing was written"), "{error}");
    }
    assert!(consume(&mut bus, "all").is_empty());
}

pub fn a_page_ends_when_its_messages_are_large<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let note = "0123456789".repeat(600 * 1024);
    for order in 0..7 {
        let note = note.clone();
        orders()
            .dispatch(&mut bus, &OrderPlaced { order, note })
            .unwrap();
    }
    let mut consumer = MessageConsumer::<Orders>::external("all", ignore);
    let pages: Vec<_> = (0..4)
        .map(|_| consumer.handle_page(&mut bus).unwrap())
        .collect();
    assert_eq!(pages, [3, 3, 1, 0]);
}

pub fn names_of_255_characters_are_kept_and_longer_ones_refused<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    // Characters of 1, 2 and 4 bytes.
    for character in ["a", "ö", "🦀"] {
        let longest = character.repeat(MAX_NAME_LENGTH);
        let too_long = character.repeat(MAX_NAME_LENGTH + 1);

        persist_with_names(&mut bus, &longest, &longest).unwrap();
        assert_eq!(stored(&mut bus, &longest)[0].1.message_type, longest);
        acquire_with_names(&mut bus, &longest, &longest).unwrap();
        let status = bus
            .stored_consumer(ConsumerKey {
                consumer: &longest,
                topic: &longest,
            })
            .unwrap();
        assert_eq!(status.unwrap().lease_epoch, 1);

        for (topic, message_type) in [(&too_long, &longest), (&longest, &too_long)] {
            let error = persist_with_names(&mut bus, topic, message_type).unwrap_err();
            assert!(error.is_invalid_name());
            assert!(error.to_string().contains("256"), "{error}");
        }
        for (consumer, topic) in [(&too_long, &longest), (&longest, &too_long)] {
            let error = acquire_with_names(&mut bus, consumer, topic).unwrap_err();
            assert!(error.is_invalid_name());
        }
        assert_eq!(
            stored(&mut bus, &longest).len(),
            1,
            "nothing else was written"
        );
    }
}

pub fn names_that_a_database_could_not_keep_are_refused<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let names = [
        "",
        "a\0b",
        "line\nbreak",
        " before",
        "after ",
        "\u{a0}",
        // Names that look like other names.
        "or\u{200b}ders",
        "\u{feff}orders",
        "orders\u{202e}",
        "or\u{ad}ders",
        "or\u{2028}ders",
    ];
    for name in names {
        assert!(
            persist_with_names(&mut bus, name, "x")
                .unwrap_err()
                .is_invalid_name()
        );
        assert!(
            persist_with_names(&mut bus, "x", name)
                .unwrap_err()
                .is_invalid_name()
        );
        assert!(
            acquire_with_names(&mut bus, name, "x")
                .unwrap_err()
                .is_invalid_name()
        );
        let mut consumer = MessageConsumer::<Orders>::external(name, ignore);
        assert!(
            consumer
                .handle_page(&mut bus)
                .unwrap_err()
                .is_invalid_name()
        );
    }
    assert_eq!(bus.last_position().unwrap(), Position::START);
}

pub fn custom_headers_are_checked<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let longest = "h".repeat(MAX_NAME_LENGTH);
    let too_long = "h".repeat(MAX_NAME_LENGTH + 1);
    let placed = OrderPlaced::number(1);
    for refused in [&too_long, "", "__message_id", "__mine", "a\nb"] {
        let headers = Headers::new().with(refused, 1);
        let error = orders()
            .dispatch_with(&mut bus, &placed, headers)
            .unwrap_err();
        assert!(error.is_invalid_name(), "{error}");
    }
    let headers = Headers::new().with(longest, 1);
    orders().dispatch_with(&mut bus, &placed, headers).unwrap();
    assert_eq!(consume(&mut bus, "all"), [1]);
}

pub fn a_page_of_nothing_is_empty<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    orders()
        .dispatch(&mut bus, &OrderPlaced::number(1))
        .unwrap();
    let whole = PageRequest {
        topic: "orders",
        part: persisting_message_bus::backend::Part::Whole,
        message_types: TypeFilter::All,
        after: Position::START,
        up_to: Position::new(i64::MAX),
        limit: 10,
    };
    let no_room = PageRequest { limit: 0, ..whole };
    let no_types = PageRequest {
        message_types: TypeFilter::Only(&[]),
        ..whole
    };
    let past_the_end = PageRequest {
        after: Position::new(i64::MAX),
        ..whole
    };
    let elsewhere = PageRequest {
        topic: "nowhere",
        ..whole
    };
    for request in [no_room, no_types, past_the_end, elsewhere] {
        bus.read_page(&request, &mut |message| {
            panic!("{request:?} gave {message:?}");
        })
        .unwrap();
    }
    let mut seen = 0;
    bus.read_page(&whole, &mut |_| {
        seen += 1;
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(seen, 1);
}

fn persist_with_names(
    bus: &mut impl MessageRepository,
    topic: &str,
    message_type: &str,
) -> Result<usize, persisting_message_bus::Error> {
    let message = RawMessage {
        topic: topic.to_owned().into(),
        message_type: message_type.to_owned().into(),
        ..raw("", "{}")
    };
    bus.persist(&[message], OnDuplicate::Fail)
}

fn acquire_with_names(
    bus: &mut impl MessageConsumerState,
    consumer: &str,
    topic: &str,
) -> Result<persisting_message_bus::backend::Lease, persisting_message_bus::Error> {
    bus.acquire(&LeaseRequest {
        consumer,
        topic,
        segment: None,
        owner: "another process",
        duration: std::time::Duration::from_secs(60),
        identity: Default::default(),
        hands_out: false,
    })
}
