//! Servers that send malformed or wrong responses. Nothing of such a response is handled, the
//! cursor stays, and the error names the fault.

use persisting_message_bus::operate::ConsumerKey;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use persisting_message_bus::backend::{
    ConsumerIdentity, MessageConsumerState, MessageSource, Place,
};
use persisting_message_bus::memory::InMemoryMessageConsumerState;
use persisting_message_bus::{Backoff, Error, Message, MessageBus, MessageConsumer, Position};
use persisting_message_bus_http::HttpSource;
use persisting_message_bus_tests::topics::Orders;
use serde_json::{Value, json};
use uuid::Uuid;

/// A server that answers every request for a page with the same bytes, and a request for the head
/// correctly.
struct MalformedServer {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
}

const HEADERS: &str = "content-type: application/cloudevents-batch+json\r\n\
    feed-next: 9\r\nfeed-head: 9\r\nfeed-high-water-mark: 9\r\n";

impl MalformedServer {
    /// Starts a server that answers with these bytes.
    fn start(answer: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&requests);
        // The thread ends with the test process.
        thread::spawn(move || {
            for connection in listener.incoming() {
                let mut connection = connection.unwrap();
                let head = http("200 OK", HEADERS, b"[]");
                let answer = if asks_for_head_only(&connection) {
                    &head
                } else {
                    &answer
                };
                counted.fetch_add(1, Ordering::SeqCst);
                // The client may have closed the connection.
                let _written = connection.write_all(answer);
            }
        });
        Self { address, requests }
    }

    /// Starts a server that answers with these events.
    fn with(events: &Value) -> Self {
        Self::start(http("200 OK", HEADERS, events.to_string().as_bytes()))
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the error of a consumer whose cursor is at position 2 and stays there.
    fn error(&self) -> Error {
        let source = HttpSource::new(self.url()).unwrap();
        self.error_of(source.max_page_bytes(200_000).max_attempts(1))
    }

    fn error_of(&self, source: HttpSource) -> Error {
        let mut state = InMemoryMessageConsumerState::default();
        let url = self.url();
        let lease = persisting_message_bus::backend::LeaseRequest {
            consumer: "c",
            topic: "orders",
            segment: None,
            owner: "before",
            duration: Duration::from_secs(60),
            identity: ConsumerIdentity {
                event_set: None,
                source: Some(&url),
            },
            hands_out: false,
        };
        let lease = state.acquire(&lease).unwrap();
        state
            .reset(&lease, Place::unanchored(Some(Position::new(2))))
            .unwrap();
        state.release(&lease).unwrap();
        let mut bus = MessageBus::new(source, state);
        let mut consumer = MessageConsumer::<Orders>::external("c", |_: &Message<Orders>| {
            panic!("a message was handled");
        });
        let error = consumer.handle_page(&mut bus).unwrap_err();
        assert!(!error.is_handler_failure(), "{error}");
        let stored = bus
            .stored_consumer(ConsumerKey {
                consumer: "c",
                topic: "orders",
            })
            .unwrap()
            .unwrap();
        assert_eq!(stored.cursor, Some(Position::new(2)));
        error
    }

    fn expect(&self, text: &str) {
        let error = format!("{:#}", self.error());
        assert!(error.contains(text), "{error}");
        assert!(
            error.contains("topic \"orders\" after position 2"),
            "{error}"
        );
        assert!(error.contains(&self.url()), "{error}");
    }
}

fn asks_for_head_only(connection: &TcpStream) -> bool {
    let mut lines = BufReader::new(connection).lines().map_while(Result::ok);
    let asks = lines.next().is_some_and(|line| line.contains("limit=0"));
    let _head: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
    asks
}

fn http(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let mut answer = format!(
        "HTTP/1.1 {status}\r\n{headers}connection: close\r\ncontent-length: {length}\r\n\r\n"
    )
    .into_bytes();
    answer.extend_from_slice(body);
    answer
}

fn event(position: i64) -> Value {
    json!({
        "specversion": "1.0",
        "id": Uuid::from_u128(u128::try_from(position).unwrap()),
        "source": "/orders",
        "type": "OrderShipped",
        "time": "2026-03-01T12:00:00Z",
        "topic": "orders",
        "sequence": format!("{position:020}"),
        "messageversion": 1,
        "headers": "{}",
        "data": { "order": position },
    })
}

fn with(position: i64, attribute: &str, value: Value) -> Value {
    let mut event = event(position);
    event[attribute] = value;
    event
}

#[test]
fn positions_that_do_not_grow_are_refused() {
    let server = MalformedServer::with(&json!([event(3), event(5), event(4)]));
    server.expect("event 3 is at position 4, but comes after 5; none of it was delivered");
    MalformedServer::with(&json!([event(3), event(3)]))
        .expect("event 2 is at position 3, but comes after 3");
}

#[test]
fn positions_outside_the_request_are_refused() {
    MalformedServer::with(&json!([event(2), event(3)]))
        .expect("event 1 is at position 2, but comes after 2");
    MalformedServer::with(&json!([event(3), event(10)]))
        .expect("event 2 is at position 10, but the page ends at 9");
    for sequence in ["-4", "x", "", "99999999999999999999"] {
        let server = MalformedServer::with(&json!([with(3, "sequence", sequence.into())]));
        server.expect("which is not a position");
    }
}

#[test]
fn a_repeated_id_is_refused() {
    let again = with(4, "id", event(3)["id"].clone());
    MalformedServer::with(&json!([event(3), again]))
        .expect("event 2 repeats the id 00000000-0000-0000-0000-000000000003");
}

#[test]
fn events_of_another_topic_are_refused() {
    let other = with(4, "topic", "payments\u{7}".into());
    MalformedServer::with(&json!([event(3), other]))
        .expect("event 2 is of topic \"payments\\u{7}\"");
}

#[test]
fn malformed_events_are_refused() {
    for bad in [
        json!([{}]),
        json!({}),
        json!([event(3), null]),
        json!([[]]),
        json!([with(3, "id", 7.into())]),
    ] {
        MalformedServer::with(&bad).expect("the page is not a list of CloudEvents");
    }
    for (attribute, value) in [("time", "noon"), ("id", "x"), ("type", "")] {
        let broken = with(3, attribute, value.into());
        let error = format!("{:#}", MalformedServer::with(&json!([broken])).error());
        assert!(
            error.contains("CloudEvents") || error.contains("does not know the"),
            "{error}"
        );
    }
    MalformedServer::with(&json!([with(3, "specversion", "0.3".into())]))
        .expect("has the specversion \"0.3\"");
    MalformedServer::with(&json!([with(3, "messageversion", 0.into())]))
        .expect("has the version 0");
}

#[test]
fn answers_that_are_no_page_are_refused() {
    for body in ["", "[", "null", "<html>", "\u{0}"] {
        MalformedServer::start(http("200 OK", HEADERS, body.as_bytes()))
            .expect("the page is not a list of CloudEvents");
    }
    let html = "content-type: text/html\r\n";
    MalformedServer::start(http("200 OK", html, b"[]"))
        .expect("is not application/cloudevents-batch+json");
    for header in ["feed-next", "feed-head", "feed-high-water-mark"] {
        for value in ["-1", "x", ""] {
            let headers = HEADERS.replace(&format!("{header}: 9"), &format!("{header}: {value}"));
            let server = MalformedServer::start(http("200 OK", &headers, b"[]"));
            server.expect(&format!("has no position in the header {header}"));
        }
    }
    let back = HEADERS.replace("feed-next: 9", "feed-next: 1");
    MalformedServer::start(http("200 OK", &back, b"[]"))
        .expect("it continues at 1, which is before 2");
    let still = HEADERS.replace("feed-next: 9", "feed-next: 2");
    MalformedServer::start(http("200 OK", &still, b"[]"))
        .expect("it ends at 2, but the head of the topic is 9");
    MalformedServer::start(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec())
        .expect("the answer is incomplete or missing");
    let gzip = format!("{HEADERS}content-encoding: gzip\r\n");
    MalformedServer::start(http("200 OK", &gzip, b"no gzip"))
        .expect("the answer is incomplete or missing");
}

#[test]
fn answers_of_a_wrong_length_are_refused() {
    let large = json!([with(3, "headers", "x".repeat(200_000).into())]);
    MalformedServer::with(&large).expect("the answer is longer than 200000 bytes");
    let mut short = http("200 OK", HEADERS, json!([event(3)]).to_string().as_bytes());
    short.truncate(short.len() - 10);
    MalformedServer::start(short).expect("the answer is incomplete or missing");
    MalformedServer::with(&json!(
        (3..=9).cycle().take(600).map(event).collect::<Vec<_>>()
    ))
    .expect("it has 600 events instead of 500");
}

#[test]
fn redirects_are_not_followed() {
    let elsewhere = MalformedServer::with(&json!([]));
    let location = format!("location: {}/orders\r\n", elsewhere.url());
    let server = MalformedServer::start(http("302 Found", &location, b""));
    server.expect(&format!(
        "the server redirects to {}/orders",
        elsewhere.url()
    ));
    assert_eq!(elsewhere.requests.load(Ordering::SeqCst), 0);
}

#[test]
fn transient_statuses_are_retried() {
    let problem = br#"{"detail": "come\nback"}"#;
    for (status, requests) in [
        ("503 Busy", 3),
        ("429 Busy", 3),
        ("500 Broken", 3),
        ("404 Not Found", 1),
    ] {
        let server = MalformedServer::start(http(status, "retry-after: 0\r\n", problem));
        let backoff = Backoff::default().initial_delay(Duration::from_millis(1));
        let error = server.error_of(HttpSource::new(server.url()).unwrap().backoff(backoff));
        assert_eq!(error.is_retryable(), requests > 1);
        assert!(format!("{error:#}").contains(": come back"), "{error:#}");
        // Plus one request for the head.
        assert_eq!(server.requests.load(Ordering::SeqCst), requests + 1);
    }
}

#[test]
fn a_server_without_tls_is_reported() {
    let server = MalformedServer::with(&json!([]));
    let source = HttpSource::new(format!("https://{}", server.address)).unwrap();
    let mut source = source.max_attempts(1);
    let error = format!("{:#}", source.current_head("orders").unwrap_err());
    assert!(
        error.contains("the answer is incomplete or missing"),
        "{error}"
    );
}

#[test]
fn an_unreachable_server_is_reported() {
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let source = HttpSource::new(format!("http://{address}")).unwrap();
    let error = source.max_attempts(1).current_head("orders").unwrap_err();
    assert!(error.is_retryable());
    let error = format!("{error:#}");
    assert!(
        error.contains("check that the server runs, and that the address is right"),
        "{error}"
    );
}
