//! A publisher that publishes messages of all types all the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use fastrand::Rng;
use persisting_message_bus::MessageDispatcher;
use persisting_message_bus::backend::MessageRepository;

use super::letters::{A, B, C, D, Letters};

pub struct Publisher {
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<usize>>,
}

impl Publisher {
    pub fn start(bus: impl MessageRepository + Send + 'static, random: Rng) -> Self {
        let ended = Arc::<AtomicBool>::default();
        let until = Arc::clone(&ended);
        let thread = thread::spawn(move || publish(bus, random, &until));
        let thread = Some(thread);
        Self { ended, thread }
    }

    /// Ends the publisher. Returns the number of messages that it has published.
    pub fn end(&mut self) -> usize {
        self.ended.store(true, Ordering::Release);
        let thread = self.thread.take();
        thread.map_or(0, |thread| thread.join().unwrap())
    }
}

impl Drop for Publisher {
    /// Ends the publisher of a failed test before the database is deleted.
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.end();
        }
    }
}

fn publish(mut bus: impl MessageRepository, mut random: Rng, ended: &AtomicBool) -> usize {
    let letters = MessageDispatcher::<Letters>::new();
    // The first message is of a type that every program knows.
    letters.dispatch(&mut bus, &A {}).unwrap();
    let mut published = 1;
    while !ended.load(Ordering::Acquire) {
        let count = random.usize(1..16);
        let batch: Vec<_> = (0..count).map(|_| letter(&mut random)).collect();
        match letters.dispatch_batch(&mut bus, batch) {
            Ok(count) => published += count,
            Err(error) => assert!(error.is_retryable(), "{error:?}"),
        }
        thread::sleep(Duration::from_millis(random.u64(2..20)));
    }
    published
}

fn letter(random: &mut Rng) -> Letters {
    match random.u8(..4) {
        0 => A {}.into(),
        1 => B {}.into(),
        2 => C {}.into(),
        _ => D {}.into(),
    }
}
