//! A client of server-sent events that follows the rules for browsers, and ends when they do.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// A subscription on a thread of its own, which ends with the test process.
#[derive(Clone, Default)]
pub struct Subscriber {
    seen: Arc<Mutex<Seen>>,
}

/// Everything that the client has received.
#[derive(Default)]
struct Seen {
    orders: Vec<(u64, Instant)>,
    /// The number of answers that have begun.
    answers: usize,
    /// The status that has ended the subscription.
    ended_by: Option<u16>,
}

/// The answers after which a client connects again.
#[derive(Clone, Copy, PartialEq)]
pub enum Rules {
    /// Those of browsers: 200 only.
    EventSource,
    /// Also those of a proxy whose server is away, as a page that opens another `EventSource`.
    AnyAnswer,
}

impl Subscriber {
    pub fn start(address: SocketAddr, target: &str, rules: Rules) -> Self {
        let subscriber = Self::default();
        let (own, target) = (subscriber.clone(), target.to_owned());
        thread::spawn(move || own.run(address, &target, rules));
        subscriber
    }

    /// Returns the numbers of the received orders.
    pub fn orders(&self) -> Vec<u64> {
        let seen = self.seen.lock().unwrap();
        seen.orders.iter().map(|(order, _)| *order).collect()
    }

    /// Returns the time at which an order was received.
    pub fn received_at(&self, order: u64) -> Option<Instant> {
        let seen = self.seen.lock().unwrap();
        let mut orders = seen.orders.iter();
        orders.find_map(|(received, at)| (*received == order).then_some(*at))
    }

    pub fn answers(&self) -> usize {
        self.seen.lock().unwrap().answers
    }

    pub fn ended_by(&self) -> Option<u16> {
        self.seen.lock().unwrap().ended_by
    }

    fn run(&self, address: SocketAddr, target: &str, rules: Rules) {
        let mut last_event_id = None;
        let mut retry = Duration::from_secs(3);
        loop {
            let status = self.read(address, target, &mut last_event_id, &mut retry);
            match status {
                Some(status) if status != 200 && rules == Rules::EventSource => {
                    self.seen.lock().unwrap().ended_by = Some(status);
                    return;
                }
                _ => thread::sleep(retry),
            }
        }
    }

    /// Reads until the connection ends. Returns the status, if there was one.
    fn read(
        &self,
        address: SocketAddr,
        target: &str,
        last_event_id: &mut Option<String>,
        retry: &mut Duration,
    ) -> Option<u16> {
        let id = last_event_id.as_ref();
        let id = id.map_or(String::new(), |id| format!("last-event-id: {id}\r\n"));
        let mut connection = TcpStream::connect(address).ok()?;
        // HTTP/1.0, in which an answer comes in one piece and ends with the connection.
        let request =
            format!("GET {target} HTTP/1.0\r\nhost: here\r\naccept: text/event-stream\r\n{id}\r\n");
        connection.write_all(request.as_bytes()).ok()?;
        let mut lines = BufReader::new(connection).lines().map_while(Result::ok);
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        if status != 200 {
            return Some(status);
        }
        lines.by_ref().find(String::is_empty)?;
        self.seen.lock().unwrap().answers += 1;
        for line in lines {
            match line.split_once(": ") {
                Some(("retry", millis)) => *retry = Duration::from_millis(millis.parse().unwrap()),
                Some(("id", id)) => *last_event_id = Some(id.to_owned()),
                Some(("data", data)) => self.receive(data),
                _ => {}
            }
        }
        Some(status)
    }

    fn receive(&self, event: &str) {
        let event: Value = serde_json::from_str(event).unwrap();
        let order = event["data"]["order"].as_u64().unwrap();
        let mut seen = self.seen.lock().unwrap();
        seen.orders.push((order, Instant::now()));
    }
}
