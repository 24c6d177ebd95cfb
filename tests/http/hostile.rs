//! Hostile clients.

use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use persisting_message_bus::backend::MessageSource;
use persisting_message_bus::memory::InMemoryMessageBus;
use persisting_message_bus::{MessageDispatcher, Position};
use persisting_message_bus_http::{Feed, HttpSource, Limits};
use persisting_message_bus_tests::databases::{Database, Memory, PooledSqlite};
use persisting_message_bus_tests::seed;
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};

use super::requests::{connect, request};
use super::resuming::ship;
use super::serving::{Serving, feed_of};

const REQUESTS: usize = 10_000;
const PIECES: [&str; 40] = [
    "GET ",
    "HEAD ",
    "POST ",
    "\u{0}",
    " HTTP/1.1\r\n",
    " HTTP/9.9\r\n",
    "\r\n",
    "\r\n\r\n",
    "/",
    "/orders",
    "/%6frders",
    "/%",
    "/%zz",
    "/%FF%00",
    "//",
    "/../..",
    "?",
    "&",
    "=",
    "lastEventId",
    "after",
    "limit",
    "timeout",
    "type",
    "exceptType",
    "0",
    "-1",
    "18446744073709551616",
    "1e9",
    "%00",
    "+",
    "ü",
    "host: here\r\n",
    "Accept: text/event-stream\r\n",
    "Last-Event-ID: ",
    "Authorization: Bearer ",
    "If-None-Match: ",
    "Content-Length: 99999999999\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Accept-Encoding: gzip;q=\u{7f}, *\r\n",
];

fn fuzzed(random: &mut Rng) -> Vec<u8> {
    let well_formed = random.bool();
    let mut junk = Vec::new();
    for _ in 0..random.usize(1..12) {
        match random.u8(..12) {
            0 => junk.extend((0..random.usize(..40)).map(|_| random.u8(..))),
            1 => junk.extend(std::iter::repeat_n(b'9', random.usize(..2_000))),
            _ => junk.extend_from_slice(PIECES[random.usize(..PIECES.len())].as_bytes()),
        }
    }
    if !well_formed {
        return junk;
    }
    // A well-formed request reaches the feed.
    let query: String = junk
        .iter()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'=' | b'&' | b'%' | b'+' | b'-' => {
                *byte as char
            }
            _ => '&',
        })
        .collect();
    let names = [
        "after",
        "lastEventId",
        "limit",
        "timeout",
        "type",
        "exceptType",
    ];
    let name = names[random.usize(..names.len())];
    let target = format!("/orders?{name}={query}&timeout=1");
    let headers = [
        ("accept", "text/event-stream"),
        ("connection", "close"),
        ("last-event-id", &query),
    ];
    request(&target, &headers[random.usize(1..3)..]).into_bytes()
}

#[test]
fn a_feed_answers_after_ten_thousand_malformed_requests() {
    let database = Arc::new(Memory::create());
    ship(&mut database.connect(), 1);
    let limits = Limits::default().max_wait(Duration::from_millis(5));
    let serving = Serving::start(feed_of(&database).limits(limits));
    let mut random = Rng::with_seed(seed());
    let mut refused = 0;
    for number in 0..REQUESTS {
        let mut connection = connect(serving.address);
        // The server does not read all of a request that it refuses early.
        let _written = connection.write_all(&fuzzed(&mut random));
        match random.u8(..4) {
            0 => continue,
            1 => drop(connection.shutdown(Shutdown::Both)),
            _ => {
                let _half_closed = connection.shutdown(Shutdown::Write);
                let mut answer = [0; 64];
                let length = connection.read(&mut answer).unwrap_or(0);
                let answer = String::from_utf8_lossy(&answer[..length]);
                assert!(!answer.contains(" 500 "), "request {number}: {answer}");
                refused += usize::from(answer.contains(" 400 "));
            }
        }
    }
    assert!(refused > 0);
    assert_eq!(serving.get("/orders").orders(), [1]);
}

#[test]
fn oversized_requests_are_refused() {
    let database = Arc::new(Memory::create());
    ship(&mut database.connect(), 1);
    let serving = Serving::start(feed_of(&database));
    let nines = "9".repeat(60_000);
    serving.get(&format!("/orders?after={nines}")).problem(404);
    serving
        .get(&format!("/orders?lastEventId={}", "x".repeat(60_000)))
        .problem(400);
    serving.get(&format!("/{nines}")).problem(404);
    serving
        .get(&format!("/orders?{}", "type=a&".repeat(5_000)))
        .problem(400);
    assert_eq!(serving.get(&format!("/orders?limit={nines}")).orders(), [1]);
}

#[test]
fn slow_readers_are_disconnected_and_others_are_served() {
    let database = Arc::new(PooledSqlite::create());
    let bus = &mut database.connect();
    let orders = MessageDispatcher::<Orders>::new();
    // More than the buffers of a connection hold.
    let note = "x".repeat(1024 * 1024);
    let large = |order| OrderPlaced {
        order,
        note: note.clone(),
    };
    orders.dispatch_batch(bus, (1..=24).map(large)).unwrap();
    // The limit leaves room for one page.
    let limits = Limits::default()
        .max_in_flight_bytes(0)
        .transfer_timeout(Duration::from_millis(200));
    let serving = Serving::start(feed_of(&database).limits(limits));
    for _ in 0..5 {
        let mut slow = connect(serving.address);
        slow.write_all(request("/orders", &[]).as_bytes()).unwrap();
        let mut begin = [0; 12];
        slow.read_exact(&mut begin).unwrap();
        assert_eq!(&begin, b"HTTP/1.0 200");
        let quick = serving.get("/orders?limit=1");
        assert_eq!(quick.orders(), [1]);
        // The connection is closed before the whole page is sent.
        let mut rest = Vec::new();
        let _cut_off = slow.read_to_end(&mut rest);
        assert!(rest.len() < 16 * 1024 * 1024, "{}", rest.len());
    }
}

#[test]
fn unfinished_requests_do_not_block_others() {
    let database = Arc::new(Memory::create());
    ship(&mut database.connect(), 1);
    let serving = Serving::start(feed_of(&database));
    let unfinished: Vec<_> = (0..200)
        .map(|number| {
            let mut connection = connect(serving.address);
            connection
                .write_all(b"GET /orders HTTP/1.1\r\nhost: he")
                .unwrap();
            if number % 2 == 0 {
                connection.shutdown(Shutdown::Write).unwrap();
            }
            connection
        })
        .collect();
    assert_eq!(serving.get("/orders").orders(), [1]);
    drop(unfinished);
}

#[test]
fn errors_of_a_source_are_not_disclosed() {
    let failing = || Err::<InMemoryMessageBus, _>("password=7 is wrong");
    let panicking = || -> Result<InMemoryMessageBus, Infallible> { panic!("password=7 is wrong") };
    let feeds = [
        Feed::new(failing, ["orders"]).unwrap(),
        Feed::new(panicking, ["orders"]).unwrap(),
    ];
    for feed in feeds {
        let serving = Serving::start(feed.public());
        // More requests than the feed has concurrent reads.
        for target in [
            "/",
            "/orders",
            "/orders?timeout=100",
            "/orders",
            "/",
            "/orders?limit=0",
        ] {
            let answer = serving.get(target);
            assert!(!answer.problem(503).contains('7'));
            assert_eq!(answer.header("retry-after"), Some("1"));
        }
    }
}

#[test]
fn a_compressed_answer_that_is_too_large_is_refused() {
    let database = Arc::new(Memory::create());
    let note = "x".repeat(10_000_000);
    let large = OrderPlaced { order: 1, note };
    let orders = MessageDispatcher::<Orders>::new();
    orders.dispatch(&mut database.connect(), &large).unwrap();
    let serving = Serving::start(feed_of(&database));
    let packed = serving.get_with("/orders", &[("accept-encoding", "gzip")]);
    assert!(packed.body.len() < 200_000);
    let mut source = HttpSource::new(serving.url())
        .unwrap()
        .max_page_bytes(200_000);
    let error = source.backlog("orders", Position::START).unwrap_err();
    assert!(
        format!("{error:#}").contains("longer than 200000 bytes"),
        "{error:#}"
    );
}

#[test]
fn other_methods_are_refused() {
    let database = Arc::new(Memory::create());
    let serving = Serving::start(feed_of(&database));
    for method in ["POST", "PUT", "DELETE", "PATCH", "STRANGE"] {
        let mut connection = connect(serving.address);
        let request = request("/orders", &[]).replace("GET", method);
        connection.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer).unwrap();
        let answer = super::requests::Response::parse(&answer);
        answer.problem(405);
        assert!(answer.header("allow").unwrap().contains("GET"));
    }
}
