//! The least that a program without guarantees does: it listens, and reads what is after its last message.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use benchmark_rows::Failure;
use postgres::fallible_iterator::FallibleIterator;
use postgres::{Client, NoTls};

use serde::Deserialize;

use super::publish::{Consumer, OF_ANOTHER};

/// How often the consumer looks whether it must stop.
const CHECK: Duration = Duration::from_millis(100);

const READ: &str =
    "SELECT id, message_id, message_type, payload::text AS payload, headers::text, published_at::text
    FROM public_messages WHERE topic = 'orders' AND id > $1 ORDER BY id LIMIT 500";

/// A message, as far as it is looked at.
#[derive(Deserialize)]
struct Numbered {
    order: u64,
}

/// Starts the consumer. Returns a receiver of the times at which it had a message.
pub fn start(url: &str) -> Result<(Consumer, Receiver<Instant>), Failure> {
    let notifier = RefCell::new(Client::connect(url, NoTls)?);
    let mut client = Client::connect(url, NoTls)?;
    client.batch_execute("LISTEN by_hand")?;
    let sent = client.query_one("SELECT coalesce(max(id), 0) FROM public_messages", &[])?;
    let last = sent.get(0);
    let (sender, handled) = channel();
    let is_over = Arc::<AtomicBool>::default();
    let ends = Arc::clone(&is_over);
    let thread = thread::spawn(move || consume(&mut client, last, &sender, &ends));
    let consumer = Consumer {
        wake: Box::new(move || {
            // The consumer notices what is published by the next notification, if this one fails.
            let _notified = notifier.borrow_mut().batch_execute("NOTIFY by_hand");
        }),
        stop: Box::new(move || {
            is_over.store(true, Ordering::SeqCst);
            thread.join().map_err(|_| "the consumer panicked")?
        }),
    };
    Ok((consumer, handled))
}

fn consume(
    client: &mut Client,
    mut last: i64,
    handled: &Sender<Instant>,
    is_over: &AtomicBool,
) -> Result<(), Failure> {
    let read = client.prepare(READ)?;
    while !is_over.load(Ordering::SeqCst) {
        for row in client.query(&read, &[&last])? {
            last = row.get(0);
            let Numbered { order } = serde_json::from_str(row.get("payload"))?;
            if order != OF_ANOTHER {
                // The publisher may have ended.
                let _sent = handled.send(Instant::now());
            }
        }
        client.notifications().timeout_iter(CHECK).next()?;
    }
    Ok(())
}
