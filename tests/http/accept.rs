//! The form of an answer, and the last event that a client names.

use std::io::{BufRead, BufReader, Write};
use std::sync::Arc;

use persisting_message_bus_tests::databases::{Database, Memory};

use super::requests::{connect, request};
use super::resuming::ship_all;
use super::serving::{Serving, feed_of};

const STREAM: &str = "text/event-stream";
const BATCH: &str = "application/cloudevents-batch+json";

fn serve(orders: u64) -> Serving {
    let database = Arc::new(Memory::create());
    ship_all(&mut database.connect(), 1..=orders);
    Serving::start(feed_of(&database))
}

/// Returns the head of an answer. The rest of a stream would never end.
fn head(serving: &Serving, accept: &str) -> Vec<String> {
    let mut connection = connect(serving.address);
    let request = request("/orders?limit=2000", &[("accept", accept)]);
    connection.write_all(request.as_bytes()).unwrap();
    let lines = BufReader::new(connection).lines().map(Result::unwrap);
    lines.take_while(|line| !line.is_empty()).collect()
}

#[test]
fn the_client_chooses_between_a_page_and_a_stream() {
    let serving = serve(1);
    for (accept, chosen) in [
        ("text/event-stream;q=0, application/json", BATCH),
        (
            "application/cloudevents-batch+json, text/event-stream;q=0.1",
            BATCH,
        ),
        ("*/*", BATCH),
        ("image/png", BATCH),
        ("text/event-stream;q=0", BATCH),
        (STREAM, STREAM),
        ("*/*;q=0.1, text/event-stream", STREAM),
    ] {
        let head = head(&serving, accept);
        let expected = format!("content-type: {chosen}");
        assert!(head.contains(&expected), "{accept}: {head:?}");
        assert!(head[0].contains(" 200 "), "{accept}: {head:?}");
    }
}

/// The clients of http-feeds.org begin with `null`.
#[test]
fn a_client_without_a_last_event_begins_at_the_start() {
    let serving = serve(2);
    for target in [
        "/orders?lastEventId=null",
        "/orders?lastEventId=",
        "/orders?lastEventId=%20",
        "/orders?lastEventId=&lastEventId=null",
    ] {
        assert_eq!(serving.get(target).orders(), [1, 2], "{target}");
    }
    assert_eq!(serving.get("/orders?lastEventId=&after=1").orders(), [2]);
    assert_eq!(
        serving
            .get("/orders?lastEventId=null&lastEventId=1")
            .orders(),
        [2]
    );
    for id in ["", "null", "  "] {
        let headers = [("accept", STREAM), ("last-event-id", id)];
        let (_, mut lines) = serving.lines("/orders", &headers);
        let first = lines.find(|line| line.starts_with("id:"));
        assert_eq!(first.as_deref(), Some("id: 1"), "{id:?}");
        let (_, mut lines) = serving.lines("/orders?after=1", &headers);
        let first = lines.find(|line| line.starts_with("id:"));
        assert_eq!(first.as_deref(), Some("id: 2"), "{id:?}");
    }
    for id in ["nil", "0x1", "-1"] {
        serving
            .get(&format!("/orders?lastEventId={id}"))
            .problem(400);
    }
}

#[test]
fn a_page_has_its_length_and_a_stream_asks_proxies_not_to_keep_it_back() {
    let serving = serve(2_000);
    let page = serving.get("/orders?limit=2000");
    // Longer pages are sent in pieces, whose number hyper does not know.
    assert!(page.body.len() > 64 * 1024);
    let length = page.header("content-length").map(str::parse);
    assert_eq!(length, Some(Ok(page.body.len())));
    assert_eq!(page.header("x-accel-buffering"), None);
    let head = head(&serving, STREAM);
    assert!(
        head.iter().any(|line| line == "x-accel-buffering: no"),
        "{head:?}"
    );
}
