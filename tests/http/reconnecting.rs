//! Subscribers that come back: the field `retry`, and the answers that keep a browser subscribed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use persisting_message_bus_http::{Feed, Limits};
use persisting_message_bus_tests::databases::{Database, Memory};
use uuid::Uuid;

use super::requests::Response;
use super::resuming::{ship, ship_all};
use super::serving::{Serving, TOPICS, feed_of};

const STREAM: (&str, &str) = ("accept", "text/event-stream");

/// Returns the delay of an answer that ends, after the reason in its comment.
#[track_caller]
fn later(answer: &Response, reason: &str) -> u64 {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("x-accel-buffering"), Some("no"));
    let text = String::from_utf8(answer.body.clone()).unwrap();
    let (comment, retry) = text.split_once('\n').unwrap();
    assert!(
        comment.starts_with(": ") && comment.contains(reason),
        "{text}"
    );
    let retry = retry.strip_prefix("retry: ").unwrap();
    retry.strip_suffix("\n\n").unwrap().parse().unwrap()
}

/// Returns a feed whose database can be away.
fn feed_that_fails(fails: &Arc<AtomicBool>) -> Feed {
    let database = Memory::create();
    ship(&mut database.connect(), 1);
    let fails = Arc::clone(fails);
    let connect = move || {
        if fails.load(Ordering::SeqCst) {
            return Err("the database\nis away");
        }
        Ok(database.connect())
    };
    Feed::new(connect, TOPICS).unwrap().public()
}

#[test]
fn a_database_that_is_away_does_not_end_a_subscription() {
    let fails = Arc::new(AtomicBool::new(true));
    let serving = Serving::start(feed_that_fails(&fails));
    let subscribe = || serving.get_with("/orders", &[STREAM, ("last-event-id", "0")]);
    let delays: Vec<_> = (0..20)
        .map(|_| later(&subscribe(), "the messages cannot be read at the moment"))
        .collect();
    assert!(
        delays.iter().all(|delay| (1_500..=4_500).contains(delay)),
        "{delays:?}"
    );
    assert!(delays.iter().any(|delay| *delay != delays[0]), "{delays:?}");
    // A client of pages gets the status.
    serving.get("/orders").problem(503);
    fails.store(false, Ordering::SeqCst);
    let (status, mut lines) = serving.lines("/orders", &[STREAM]);
    assert_eq!(status, 200);
    assert!(lines.any(|line| line == "id: 1"));
}

#[test]
fn a_client_that_finds_no_slot_comes_back_later() {
    let database = Arc::new(Memory::create());
    let limits = Limits::default().max_waiters(0);
    let serving = Serving::start(feed_of(&database).limits(limits));
    let answer = serving.get_with("/orders", &[STREAM]);
    // The delay is around the 5 seconds of Retry-After, which are longer than those of the limits.
    assert!(later(&answer, "too many clients wait already") >= 2_500);
}

#[test]
fn a_request_that_cannot_succeed_ends_the_subscription() {
    let database = Arc::new(Memory::create());
    ship(&mut database.connect(), 1);
    let serving = Serving::start(feed_of(&database));
    let unknown = Uuid::now_v7().to_string();
    for (target, id, status) in [
        ("/orders", "2", 404),
        ("/orders", unknown.as_str(), 404),
        ("/orders", "x", 400),
        ("/orders?limit=x", "1", 400),
        ("/nothing", "1", 404),
    ] {
        let headers = [STREAM, ("last-event-id", id)];
        serving.get_with(target, &headers).problem(status);
    }
}

#[test]
fn a_server_that_shuts_down_sends_its_subscribers_away_for_a_time() {
    let database = Arc::new(Memory::create());
    ship_all(&mut database.connect(), 1..=2);
    let limits = Limits::default().reconnect_delay(Duration::from_secs(10));
    let feed = feed_of(&database).limits(limits);
    let shutdown = feed.shutdown_handle();
    let serving = Serving::start(feed);
    let (_, lines) = serving.lines("/orders", &[STREAM]);
    shutdown.close();
    // Those that come now get the events that are there, and then the stream ends as well.
    let (_, late) = serving.lines("/orders", &[STREAM]);
    for lines in [lines.collect::<Vec<_>>(), late.collect()] {
        let retry = lines[0].strip_prefix("retry: ").unwrap();
        let retry: u64 = retry.parse().unwrap();
        assert!((5_000..=15_000).contains(&retry), "{retry}");
        assert!(lines.iter().any(|line| line == "id: 2"), "{lines:?}");
    }
}

/// By default, nginx sends 504 after a minute, which would end the subscription.
#[test]
fn a_stream_is_answered_in_time_although_it_also_waits_for_its_turn() {
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let (begin, begun) = mpsc::channel();
    let connect = move || {
        let _begun = begin.send(());
        // Until the end of the test.
        let _ended = released.lock().unwrap().recv();
        Err::<<Memory as Database>::Bus, _>("the database does not answer")
    };
    let limits = Limits::default()
        .max_concurrent_reads(1)
        .read_timeout(Duration::from_secs(8));
    let feed = Feed::new(connect, TOPICS).unwrap().public();
    let serving = Serving::start(feed.limits(limits));
    thread::scope(|scope| {
        scope.spawn(|| serving.get("/orders").problem(503));
        // The page has its turn first, and loses it after half of the stream's time.
        begun.recv().unwrap();
        thread::sleep(Duration::from_secs(4));
        let begun = Instant::now();
        let answer = serving.get_with("/orders", &[STREAM]);
        later(&answer, "the messages cannot be read at the moment");
        // The read begins after 4 seconds, and fails after 12.
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "{:?}",
            begun.elapsed()
        );
    });
    drop(release);
}
