//! Attributes that CloudEvents does not allow, or only in another form.

use std::ops::ControlFlow;
use std::sync::Arc;

use persisting_message_bus::OnDuplicate;
use persisting_message_bus::backend::{
    MessageRepository, MessageSource, PageRequest, StoredMessage,
};
use persisting_message_bus::{Error, Position};
use persisting_message_bus_http::{Feed, HttpSource};
use persisting_message_bus_tests::databases::{Database, Memory};
use serde_json::Value;

use super::correlation::raw;
use super::round_trip::stored;
use super::serving::{Serving, feed_of};

#[test]
fn headers_are_compact_and_have_no_control_characters() {
    let database = Arc::new(Memory::create());
    let bus = &mut database.connect();
    let headers = "{\n\t\"a b\" : [ 1.50 , \"\u{85}\u{1f980}\" ]\r\n}";
    bus.persist(&[raw(headers)], OnDuplicate::Fail).unwrap();
    let serving = Serving::start(feed_of(&database));
    let page = serving.get("/orders").json();
    let sent = page[0]["headers"].as_str().unwrap();
    assert_eq!(sent, "{\"a b\":[1.50,\"\\u0085\u{1f980}\"]}");
    let [before, after] = [headers, sent].map(|text| serde_json::from_str::<Value>(text).unwrap());
    assert_eq!(before, after);
    // A relay copies them as they are stored.
    let text = page[0]["storedheaders"].as_str().unwrap();
    assert_eq!(serde_json::from_str::<String>(text).unwrap(), headers);
    assert!(!text.chars().any(char::is_control));
    let source = &mut HttpSource::new(serving.url()).unwrap();
    assert_eq!(
        stored(source, "orders", Position::new(1))[0].1.headers,
        headers
    );
}

#[test]
fn attributes_have_no_control_characters() {
    let database = Arc::new(Memory::create());
    let bus = &mut database.connect();
    let texts = r#"{"__correlation_id":"a\nb","__causation_id":"\u0000","traceparent":"\u0085","partitionkey":"\uffff"}"#;
    bus.persist(&[raw(texts)], OnDuplicate::Fail).unwrap();
    let serving = Serving::start(feed_of(&database));
    let page = serving.get("/orders").json();
    for attribute in [
        "correlationid",
        "causationid",
        "traceparent",
        "partitionkey",
    ] {
        assert_eq!(page[0].get(attribute), None, "{attribute}");
    }
    assert_eq!(page[0]["headers"], texts.replace("\u{ffff}", "\\uffff"));
}

/// A source whose second message has a version that the library refuses to store.
struct Foreign(<Memory as Database>::Bus);

impl MessageSource for Foreign {
    persisting_message_bus_tests::forward_source! {
        |this| this.0 => high_water_mark, head, last_position, ids_at
    }

    fn read_page(
        &mut self,
        request: &PageRequest<'_>,
        receive: &mut dyn FnMut(&StoredMessage<'_>) -> ControlFlow<()>,
    ) -> Result<persisting_message_bus::backend::MessageAt, Error> {
        self.0.read_page(request, &mut |message| {
            let is_second = message.position == Position::new(2);
            let message_version = if is_second { 1 << 31 } else { 1 };
            receive(&StoredMessage {
                message_version,
                ..*message
            })
        })
    }
}

#[test]
fn a_version_that_cloud_events_cannot_have_is_not_served() {
    let database = Arc::new(Memory::create());
    let messages = [raw("{}"), raw("{}")];
    database
        .connect()
        .persist(&messages, OnDuplicate::Fail)
        .unwrap();
    let connect = move || Ok::<_, std::convert::Infallible>(Foreign(database.connect()));
    let serving = Serving::start(Feed::new(connect, ["orders"]).unwrap().public());
    assert_eq!(serving.get("/orders").orders(), [3]);
    let problem = serving.get("/orders?after=1").problem(500);
    assert!(problem.contains("at position 2"), "{problem}");
    let stream = [("accept", "text/event-stream"), ("last-event-id", "1")];
    let later = serving.get_with("/orders", &stream);
    assert_eq!(later.status, 200);
    assert!(String::from_utf8_lossy(&later.body).contains("at position 2"));
}

#[test]
fn a_source_that_is_no_uri_reference_is_refused() {
    let database = Arc::new(Memory::create());
    for (source, problem) in [
        ("https://shop.example/\u{e4}", "write it as %C3%A4"),
        ("https://shop.example/a b", "write it as %20"),
        ("https://shop.example/%", "is not a URI reference"),
    ] {
        let error = feed_of(&database).source(source).unwrap_err();
        let error = format!("{error:#}");
        assert!(error.contains("setting the source of a feed"), "{error}");
        assert!(error.contains(problem), "{error}");
    }
}

#[test]
fn a_topic_that_no_request_reaches_is_refused() {
    for topic in ["", ".", "..", "a/..", "a\\.\\b", "a\nb"] {
        let connect = || HttpSource::new("http://x");
        let error = Feed::new(connect, ["orders", topic]).unwrap_err();
        let error = format!("{error:#}");
        assert!(
            error.contains(&format!("setting the topic {topic:?} of a feed")),
            "{error}"
        );
    }
}
