//! Server-sent events.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use persisting_message_bus::OnDuplicate;
use persisting_message_bus::backend::{MessageRepository, RawMessage, Slot};
use persisting_message_bus_http::{Feed, Limits};
use persisting_message_bus_tests::databases::{Database, Memory, PooledSqlite};
use serde_json::Value;
use uuid::Uuid;

use super::resuming::{ship, ship_all};
use super::serving::{Serving, TOPICS, feed_of, watched_feed};

const STREAM: (&str, &str) = ("Accept", "text/event-stream");

/// Returns the id and the data of the next event of a stream.
fn next(lines: &mut impl Iterator<Item = String>) -> (String, Value) {
    let mut id = None;
    let mut data = Vec::new();
    for line in lines {
        match line.split_once(':') {
            Some(("id", value)) => id = Some(value.trim().to_owned()),
            Some(("data", value)) => data.push(value.trim().to_owned()),
            None if line.is_empty() && !data.is_empty() => break,
            _ => {}
        }
    }
    (id.unwrap(), serde_json::from_str(&data.join("\n")).unwrap())
}

#[test]
fn events_arrive_when_they_are_dispatched_and_resume_after_a_disconnect() {
    let database = Arc::new(PooledSqlite::create());
    let bus = &mut database.connect();
    let first = ship(bus, 1);
    let serving = Serving::start(feed_of(&database));
    let (status, mut lines) = serving.lines("/orders", &[STREAM]);
    assert_eq!(status, 200);
    let (id, event) = next(&mut lines);
    assert_eq!((id.as_str(), &event["data"]["order"]), ("1", &1.into()));
    assert_eq!(event["id"], first.to_string());
    for order in 2..=3 {
        ship(bus, order);
        assert_eq!(next(&mut lines).1["data"]["order"], order);
    }
    drop(lines);
    for cut_off in ["1", "00000000000000000001", &first.to_string()] {
        let headers = [STREAM, ("Last-Event-ID", cut_off)];
        let (_, mut lines) = serving.lines("/orders?after=0", &headers);
        assert_eq!(next(&mut lines).0, "2");
        assert_eq!(next(&mut lines).0, "3");
    }
}

#[test]
fn a_stream_that_cannot_begin_says_why() {
    let database = Arc::new(Memory::create());
    ship(&mut database.connect(), 1);
    let serving = Serving::start(feed_of(&database));
    let get = |id| serving.get_with("/orders", &[STREAM, ("Last-Event-ID", id)]);
    get("2").problem(404);
    get("x").problem(400);
    get(&Uuid::now_v7().to_string()).problem(404);
}

#[test]
fn an_idle_stream_has_heartbeats() {
    let database = Arc::new(Memory::create());
    let limits = Limits::default().heartbeat_interval(Duration::from_millis(20));
    let serving = Serving::start(feed_of(&database).limits(limits));
    let (_, mut lines) = serving.lines("/orders", &[STREAM]);
    assert!(lines.next().unwrap().starts_with("retry: "));
    assert_eq!(lines.next().unwrap(), "");
    for _ in 0..5 {
        assert_eq!(lines.next().unwrap(), ":");
        assert_eq!(lines.next().unwrap(), "");
    }
    ship(&mut database.connect(), 1);
    assert_eq!(next(&mut lines).0, "1");
}

#[test]
fn white_space_in_a_payload_does_not_end_an_event() {
    let database = Arc::new(Memory::create());
    let raw = RawMessage {
        correlation_id: None,
        key_slot: Slot::NONE,
        message_id: Uuid::now_v7(),
        topic: "orders".into(),
        message_type: "OrderShipped".into(),
        message_version: 1,
        payload: "{\n\"order\"\r\n\r:\n\n1}".to_owned(),
        headers: "{\n}".to_owned(),
        published_at: chrono::Utc::now(),
    };
    database
        .connect()
        .persist(&[raw], OnDuplicate::Fail)
        .unwrap();
    let serving = Serving::start(feed_of(&database));
    let (_, mut lines) = serving.lines("/orders", &[STREAM]);
    assert_eq!(next(&mut lines).1["data"]["order"], 1);
}

#[test]
fn many_events_come_in_one_stream() {
    let database = Arc::new(Memory::create());
    let bus = &mut database.connect();
    ship_all(bus, 1..=2_000);
    let serving = Serving::start(feed_of(&database));
    let (_, mut lines) = serving.lines("/orders?limit=7", &[STREAM]);
    for order in 1..=2_000_u64 {
        assert_eq!(next(&mut lines).1["data"]["order"], order);
    }
}

const SUBSCRIBERS: usize = 20;

#[test]
fn subscribers_share_one_poll_and_heartbeats_need_none() {
    let database = Arc::new(Memory::create());
    let (feed, told, _) = watched_feed(&database);
    let limits = Limits::default().heartbeat_interval(Duration::from_millis(20));
    let serving = Serving::start(feed.limits(limits));
    let begun = Instant::now();
    let mut streams: Vec<_> = (0..SUBSCRIBERS)
        .map(|_| serving.lines("/orders", &[STREAM]).1)
        .collect();
    for lines in &mut streams {
        assert_eq!(lines.filter(|line| line == ":").take(30).count(), 30);
    }
    let reads = told.try_iter().count();
    // Each subscriber has read once. The pauses between the shared polls grow to 500 ms.
    let polls = 20 + usize::try_from(begun.elapsed().as_secs()).unwrap() * 2;
    assert!(reads <= SUBSCRIBERS + polls, "{reads} reads");
    ship(&mut database.connect(), 1);
    for lines in &mut streams {
        assert_eq!(next(lines).0, "1");
    }
}

/// Returns a feed that switches from the first source to the second one.
fn feed_of_either(first: Arc<Memory>, second: Option<Memory>) -> (Feed, Arc<AtomicBool>) {
    let is_first = Arc::new(AtomicBool::new(true));
    let chosen = Arc::clone(&is_first);
    let connect = move || match &second {
        _ if chosen.load(Ordering::SeqCst) => Ok(first.connect()),
        Some(second) => Ok(second.connect()),
        None => Err("the database is away"),
    };
    let limits = Limits::default().heartbeat_interval(Duration::from_millis(20));
    (
        Feed::new(connect, TOPICS).unwrap().public().limits(limits),
        is_first,
    )
}

#[test]
fn a_stream_ends_when_its_source_is_unavailable_or_has_gone_back() {
    for second in [None, Some(Memory::create())] {
        let database = Arc::new(Memory::create());
        ship_all(&mut database.connect(), 1..=2);
        let (feed, is_first) = feed_of_either(database, second);
        let serving = Serving::start(feed);
        let (_, mut lines) = serving.lines("/orders", &[STREAM]);
        assert_eq!(next(&mut lines).0, "1");
        assert_eq!(next(&mut lines).0, "2");
        assert!(lines.any(|line| line == ":"));
        is_first.store(false, Ordering::SeqCst);
        // A continuing stream would send heartbeats without end.
        assert!(lines.take(1_000).count() < 1_000);
    }
}
