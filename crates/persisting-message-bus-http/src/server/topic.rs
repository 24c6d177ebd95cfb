use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use persisting_message_bus::backend::{MessageAt, MessageSource, SlotObservations};
use persisting_message_bus::{Error, Position};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

use super::problem::Problem;
use super::reader::Reader;
use super::turns::Turns;
use crate::wire::segment;

/// A topic, and the latest known high-water mark and head.
#[derive(Debug)]
pub(super) struct Topic {
    pub(super) name: String,
    /// The `source` of its events.
    pub(super) source: String,
    turns: Turns,
    seen: watch::Sender<Seen>,
    is_watched: Mutex<bool>,
    /// Whether the last read for waiting clients failed.
    fails: AtomicBool,
    /// The highest position after which a client has waited.
    waiting_after: AtomicI64,
}

/// The high-water mark of a topic, and its head.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) high_water_mark: Position,
    pub(super) head: MessageAt,
}

const MIN_PAUSE: Duration = Duration::from_millis(2);
const MAX_PAUSE: Duration = Duration::from_millis(500);

impl Topic {
    pub(super) fn new(name: String, source: &str) -> Self {
        Self {
            source: format!("{source}/{}", segment(&name)),
            name,
            turns: Turns::default(),
            seen: watch::Sender::default(),
            is_watched: Mutex::default(),
            fails: AtomicBool::default(),
            waiting_after: AtomicI64::default(),
        }
    }

    /// Reads the high-water mark and the head, one caller at a time, and reports them to waiting
    /// clients.
    pub(super) fn look(&self, source: &mut dyn MessageSource) -> Result<Seen, Problem> {
        self.look_by(|observations| self.look_with(source, observations))
    }

    /// Does the same for waiting clients only. They do not need the high-water mark while there is no
    /// new message, and reading it can be expensive.
    fn look_for_waiting(&self, source: &mut dyn MessageSource) -> Result<Seen, Problem> {
        self.look_by(|observations| {
            let seen = *self.seen.borrow();
            // A client can wait after the high-water mark, if that is held back. It must be read
            // again then.
            if seen.high_water_mark < Position::new(self.waiting_after.load(Ordering::Relaxed)) {
                return self.look_with(source, observations);
            }
            let after = seen.head.position;
            match source.high_water_mark_beyond(&self.name, after, observations)? {
                Some(high_water_mark) => self.look_below(source, high_water_mark),
                None if self.is_unchanged(source, seen)? => Ok(seen),
                None => self.look_with(source, observations),
            }
        })
    }

    fn look_by(
        &self,
        look: impl FnOnce(&mut SlotObservations) -> Result<Seen, Error>,
    ) -> Result<Seen, Problem> {
        let mut turn = self.turns.take();
        let looked = catch_unwind(AssertUnwindSafe(|| look(&mut turn.observations)));
        let counts = self.turns.end(turn);
        let looked = looked.unwrap_or_else(|panic| resume_unwind(panic));
        let seen = looked.map_err(|error| Problem::reading(&self.name, &error))?;
        if counts {
            self.seen
                .send_if_modified(|before| std::mem::replace(before, seen) != seen);
        }
        Ok(seen)
    }

    fn look_with(
        &self,
        source: &mut dyn MessageSource,
        observations: &mut SlotObservations,
    ) -> Result<Seen, Error> {
        let high_water_mark = source.high_water_mark(&self.name, observations)?;
        self.look_below(source, high_water_mark)
    }

    fn look_below(
        &self,
        source: &mut dyn MessageSource,
        high_water_mark: Position,
    ) -> Result<Seen, Error> {
        let head = source.head(&self.name, high_water_mark)?;
        Ok(Seen {
            high_water_mark,
            head,
        })
    }

    /// Returns whether the source is in the state that was seen, or a later one.
    fn is_unchanged(&self, source: &mut dyn MessageSource, seen: Seen) -> Result<bool, Error> {
        let head = source.head(&self.name, seen.head.position)?;
        Ok(head == seen.head && seen.high_water_mark <= source.last_position()?)
    }

    /// Waits until there is a message after a position; returns `None` if the deadline passes
    /// first.
    pub(super) async fn something_after(
        self: &Arc<Self>,
        position: Position,
        reader: &Reader,
        deadline: Instant,
    ) -> Option<Seen> {
        self.waiting_after
            .fetch_max(position.get(), Ordering::Relaxed);
        let mut seen = self.seen.subscribe();
        self.watch(reader);
        let awaited = seen.wait_for(|seen| seen.head.position > position);
        let seen = timeout_at(deadline, awaited).await.ok()?;
        seen.ok().map(|seen| *seen)
    }

    /// Returns `true` if clients that wait after that position can receive something. They cannot
    /// if the source is not readable any more, or has gone back to an earlier state.
    pub(super) fn is_readable_up_to(&self, position: Position) -> bool {
        !self.fails.load(Ordering::Relaxed) && position <= self.seen.borrow().high_water_mark
    }

    /// Starts the task that reads for all waiting clients, unless it is running. The task runs as
    /// long as a client waits.
    fn watch(self: &Arc<Self>, reader: &Reader) {
        let mut is_watched = lock(&self.is_watched);
        if !*is_watched {
            *is_watched = true;
            tokio::spawn(watch(Arc::clone(self), reader.clone()));
        }
    }

    /// Returns `true` if the watching task must end, because no client waits. A new client
    /// subscribes before it checks for the task, so no client is missed.
    fn stops_being_watched(&self) -> bool {
        let mut is_watched = lock(&self.is_watched);
        *is_watched = self.seen.receiver_count() > 0;
        !*is_watched
    }
}

async fn watch(topic: Arc<Topic>, reader: Reader) {
    let mut pause = MIN_PAUSE;
    while !topic.stops_being_watched() {
        sleep(pause).await;
        let before = topic.seen.borrow().head;
        let looked = Arc::clone(&topic);
        let looked = reader
            .read(move |source| looked.look_for_waiting(source))
            .await;
        topic.fails.store(looked.is_err(), Ordering::Relaxed);
        pause = match looked {
            Ok(seen) if seen.head != before => MIN_PAUSE,
            Ok(_) => pause.mul_f64(1.5).min(MAX_PAUSE),
            Err(_told) => MAX_PAUSE,
        };
    }
}

/// Locks a mutex. A panic leaves the last written value, which is valid.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
