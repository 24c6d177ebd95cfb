//! Servers that answer with something else than was asked for: nothing of it is handled, the cursor stays,
//! and the error says what it was.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use persisting_message_bus::memory::InMemoryMessageConsumerState;
use persisting_message_bus::{
    Error, Message, MessageBus, MessageConsumer, MessageConsumerState, MessageSource, Position,
    Retry,
};
use persisting_message_bus_http::HttpSource;
use persisting_message_bus_tests::topics::Orders;
use serde_json::{Value, json};
use uuid::Uuid;

/// A server that gives the same answer to every request for a page, and the right one to a look.
struct Liar {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
}

const HEADERS: &str = "content-type: application/cloudevents-batch+json\r\n\
    feed-next: 9\r\nfeed-head: 9\r\nfeed-horizon: 9\r\n";

impl Liar {
    /// Answers with these bytes.
    fn start(answer: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&requests);
        // It ends with the tests.
        thread::spawn(move || {
            for connection in listener.incoming() {
                let mut connection = connection.unwrap();
                let look = http("200 OK", HEADERS, b"[]");
                let answer = if asks_for_look(&connection) {
                    &look
                } else {
                    &answer
                };
                counted.fetch_add(1, Ordering::SeqCst);
                // Whoever has read enough is gone.
                let _written = connection.write_all(answer);
            }
        });
        Self { address, requests }
    }

    /// Answers with these events.
    fn with(events: &Value) -> Self {
        Self::start(http("200 OK", HEADERS, events.to_string().as_bytes()))
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The error of a consumer, which has stood behind position 2 and stays there.
    fn error(&self) -> Error {
        let source = HttpSource::new(self.url()).unwrap();
        self.error_of(
            source
                .largest_page(200_000)
                .retry(Retry::default().attempts(1)),
        )
    }

    fn error_of(&self, source: HttpSource) -> Error {
        let mut state = InMemoryMessageConsumerState::default();
        let lease = persisting_message_bus::LeaseRequest {
            consumer: "c",
            topic: "orders",
            owner: "before",
            duration: Duration::from_secs(60),
        };
        let lease = state.acquire(&lease).unwrap();
        state.reset(&lease, Some(Position::new(2))).unwrap();
        state.release(&lease).unwrap();
        let mut bus = MessageBus::new(source, state);
        let mut consumer = MessageConsumer::<Orders>::external("c", |_: &Message<Orders>| {
            panic!("nothing is handled");
        });
        let error = consumer.handle_new_messages(&mut bus).unwrap_err();
        assert!(!error.is_handler_failure(), "{error}");
        let stored = bus.stored_consumer("c", "orders").unwrap().unwrap();
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

fn asks_for_look(connection: &TcpStream) -> bool {
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
fn positions_that_do_not_grow() {
    let liar = Liar::with(&json!([event(3), event(5), event(4)]));
    liar.expect("event 3 is at position 4, and comes after 5; nothing of it was handed on");
    Liar::with(&json!([event(3), event(3)])).expect("event 2 is at position 3, and comes after 3");
}

#[test]
fn positions_that_were_not_asked_for() {
    Liar::with(&json!([event(2), event(3)])).expect("event 1 is at position 2, and comes after 2");
    Liar::with(&json!([event(3), event(10)]))
        .expect("event 2 is at position 10, and the page ends at 9");
    for sequence in ["-4", "x", "", "99999999999999999999"] {
        let liar = Liar::with(&json!([with(3, "sequence", sequence.into())]));
        liar.expect("which is no position");
    }
}

#[test]
fn an_id_that_comes_twice() {
    let again = with(4, "id", event(3)["id"].clone());
    Liar::with(&json!([event(3), again]))
        .expect("event 2 has the id 00000000-0000-0000-0000-000000000003 again");
}

#[test]
fn events_of_another_topic() {
    let other = with(4, "topic", "payments\u{7}".into());
    Liar::with(&json!([event(3), other])).expect("event 2 is of topic \"payments\\u{7}\"");
}

#[test]
fn events_that_are_no_cloud_events() {
    for bad in [
        json!([{}]),
        json!({}),
        json!([event(3), null]),
        json!([[]]),
        json!([with(3, "id", 7.into())]),
    ] {
        Liar::with(&bad).expect("the page is no list of CloudEvents");
    }
    for (attribute, value) in [("time", "noon"), ("id", "x"), ("type", "")] {
        let broken = with(3, attribute, value.into());
        let error = format!("{:#}", Liar::with(&json!([broken])).error());
        assert!(
            error.contains("CloudEvents") || error.contains("does not know the"),
            "{error}"
        );
    }
    Liar::with(&json!([with(3, "specversion", "0.3".into())]))
        .expect("has the specversion \"0.3\"");
    Liar::with(&json!([with(3, "messageversion", 0.into())])).expect("has the version 0");
}

#[test]
fn answers_that_are_no_page() {
    for body in ["", "[", "null", "<html>", "\u{0}"] {
        Liar::start(http("200 OK", HEADERS, body.as_bytes()))
            .expect("the page is no list of CloudEvents");
    }
    let html = "content-type: text/html\r\n";
    Liar::start(http("200 OK", html, b"[]")).expect("is not application/cloudevents-batch+json");
    for header in ["feed-next", "feed-head", "feed-horizon"] {
        for value in ["-1", "x", ""] {
            let headers = HEADERS.replace(&format!("{header}: 9"), &format!("{header}: {value}"));
            let liar = Liar::start(http("200 OK", &headers, b"[]"));
            liar.expect(&format!("has no position in the header {header}"));
        }
    }
    let back = HEADERS.replace("feed-next: 9", "feed-next: 1");
    Liar::start(http("200 OK", &back, b"[]")).expect("it goes on at 1, which is before 2");
    let still = HEADERS.replace("feed-next: 9", "feed-next: 2");
    Liar::start(http("200 OK", &still, b"[]"))
        .expect("it goes no further than 2, and the topic goes up to 9");
    Liar::start(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()).expect("no whole answer came");
    let gzip = format!("{HEADERS}content-encoding: gzip\r\n");
    Liar::start(http("200 OK", &gzip, b"no gzip")).expect("no whole answer came");
}

#[test]
fn answers_that_are_too_large_or_too_short() {
    let large = json!([with(3, "headers", "x".repeat(200_000).into())]);
    Liar::with(&large).expect("the answer is longer than 200000 bytes");
    let mut short = http("200 OK", HEADERS, json!([event(3)]).to_string().as_bytes());
    short.truncate(short.len() - 10);
    Liar::start(short).expect("no whole answer came");
    Liar::with(&json!(
        (3..=9).cycle().take(600).map(event).collect::<Vec<_>>()
    ))
    .expect("it has 600 events instead of 500");
}

#[test]
fn redirects_are_not_followed() {
    let elsewhere = Liar::with(&json!([]));
    let location = format!("location: {}/orders\r\n", elsewhere.url());
    let liar = Liar::start(http("302 Found", &location, b""));
    liar.expect(&format!(
        "the server sends to {}/orders instead",
        elsewhere.url()
    ));
    assert_eq!(elsewhere.requests.load(Ordering::SeqCst), 0);
}

#[test]
fn what_may_be_over_soon_is_asked_again() {
    let problem = br#"{"detail": "come\nback"}"#;
    for (status, requests) in [
        ("503 Busy", 3),
        ("429 Busy", 3),
        ("500 Broken", 3),
        ("404 Not Found", 1),
    ] {
        let liar = Liar::start(http(status, "retry-after: 0\r\n", problem));
        let retry = Retry::default().attempts(3).base(Duration::from_millis(1));
        let error = liar.error_of(HttpSource::new(liar.url()).unwrap().retry(retry));
        assert_eq!(error.is_retryable(), requests > 1);
        assert!(format!("{error:#}").contains(": come back"), "{error:#}");
        // And one look before.
        assert_eq!(liar.requests.load(Ordering::SeqCst), requests + 1);
    }
}

#[test]
fn a_server_without_tls() {
    let liar = Liar::with(&json!([]));
    let source = HttpSource::new(format!("https://{}", liar.address)).unwrap();
    let mut source = source.retry(Retry::default().attempts(1));
    let error = format!("{:#}", source.safe_head("orders").unwrap_err());
    assert!(error.contains("no whole answer came"), "{error}");
}

#[test]
fn a_server_that_is_not_there() {
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let source = HttpSource::new(format!("http://{address}")).unwrap();
    let error = source
        .retry(Retry::default().attempts(1))
        .safe_head("orders")
        .unwrap_err();
    assert!(error.is_retryable());
    let error = format!("{error:#}");
    assert!(
        error.contains("is the server running, and the address right?"),
        "{error}"
    );
}
