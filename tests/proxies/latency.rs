//! The time from a commit to a client, through nginx.

use std::time::{Duration, Instant};

use persisting_message_bus_tests::servers::Nginx;
use persisting_message_bus_tests::waiting::{wait_for, wait_until};

use super::stand::Stand;
use super::subscriber::{Rules, Subscriber};

const LIMIT: Duration = Duration::from_secs(1);

/// Asserts that most events come within a second. A busy machine can delay one of them.
pub fn assert_are_fast(mut times: Vec<Duration>) {
    times.sort_unstable();
    let median = times[times.len() / 2];
    assert!(median < LIMIT, "{times:?}");
}

/// The first nginx obeys the header of the feed, and removes it.
#[test]
fn a_second_proxy_needs_the_header_of_the_feed() {
    let mut stand = Stand::start();
    let passes = "proxy_pass_header X-Accel-Buffering;";
    let to = stand.address;
    let first = Nginx::start(&format!(
        "location / {{ proxy_pass http://{to}; {passes} }}"
    ));
    let to = first.address();
    let second = Nginx::start(&format!("location / {{ proxy_pass http://{to}; }}"));
    let address = second.address();
    let subscriber = Subscriber::start(address, "/feeds/orders", Rules::EventSource);
    wait_until("an answer", || subscriber.answers() == 1);
    let (order, committed) = stand.ship();
    let received = wait_for("the order", || subscriber.received_at(order).ok_or(order));
    assert!(received.saturating_duration_since(committed) < LIMIT * 5);
}

#[test]
fn events_come_within_a_second_of_their_commits() {
    let mut stand = Stand::start();
    for target in ["/feeds/orders", "/shop/orders"] {
        let begun = Instant::now();
        let address = stand.nginx.address();
        let subscriber = Subscriber::start(address, target, Rules::EventSource);
        // The topic may be empty; the answer begins at once all the same.
        wait_until("an answer", || subscriber.answers() == 1);
        assert!(begun.elapsed() < LIMIT * 2, "{:?}", begun.elapsed());
        let times = (0..7).map(|_| {
            let (order, committed) = stand.ship();
            let received = wait_for("the order", || subscriber.received_at(order).ok_or(order));
            received.saturating_duration_since(committed)
        });
        assert_are_fast(times.collect());
        assert_eq!(subscriber.orders(), stand.shipped());
    }
}
