use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use persisting_message_bus::{Error, MessageSource, Position, Sightings};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

use super::problem::Problem;
use super::reader::Reader;
use crate::wire::segment;

/// A topic, and what is known of how far it can be read.
#[derive(Debug)]
pub(super) struct Topic {
    pub(super) name: String,
    /// The `source` of its events.
    pub(super) source: String,
    /// Kept from look to look: on some databases, who looks for the first time sees less.
    sightings: Mutex<Sightings>,
    seen: watch::Sender<Seen>,
    is_watched: Mutex<bool>,
    /// Whether the last look for those who wait failed.
    fails: AtomicBool,
}

/// Up to where the topic can be read, and where its last message up to there stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) horizon: Position,
    pub(super) head: Position,
}

const SHORTEST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

impl Topic {
    pub(super) fn new(name: String, source: &str) -> Self {
        Self {
            source: format!("{source}/{}", segment(&name)),
            name,
            sightings: Mutex::default(),
            seen: watch::Sender::default(),
            is_watched: Mutex::default(),
            fails: AtomicBool::default(),
        }
    }

    /// Looks how far the topic can be read, one at a time, and tells those who wait.
    pub(super) fn look(&self, source: &mut dyn MessageSource) -> Result<Seen, Problem> {
        let mut sightings = lock(&self.sightings);
        let looked = self.look_with(source, &mut sightings);
        let seen = looked.map_err(|error| Problem::reading(&self.name, &error))?;
        self.seen
            .send_if_modified(|before| std::mem::replace(before, seen) != seen);
        Ok(seen)
    }

    fn look_with(
        &self,
        source: &mut dyn MessageSource,
        sightings: &mut Sightings,
    ) -> Result<Seen, Error> {
        let horizon = source.horizon(&self.name, sightings)?;
        let head = source.head(&self.name, horizon)?;
        Ok(Seen { horizon, head })
    }

    /// Waits until there is something behind a position; `None` when there was nothing up to the
    /// deadline.
    pub(super) async fn something_behind(
        self: &Arc<Self>,
        position: Position,
        reader: &Reader,
        deadline: Instant,
    ) -> Option<Seen> {
        let mut seen = self.seen.subscribe();
        self.watch(reader);
        let awaited = seen.wait_for(|seen| seen.head > position);
        let seen = timeout_at(deadline, awaited).await.ok()?;
        seen.ok().map(|seen| *seen)
    }

    /// Whether those who wait behind that position can be sure that they wait for something. Not where the
    /// source cannot be read any more, or has gone back to an earlier state.
    pub(super) fn is_readable_up_to(&self, position: Position) -> bool {
        !self.fails.load(Ordering::Relaxed) && position <= self.seen.borrow().horizon
    }

    /// One task looks for all that wait, as long as somebody does.
    fn watch(self: &Arc<Self>, reader: &Reader) {
        let mut is_watched = lock(&self.is_watched);
        if !*is_watched {
            *is_watched = true;
            tokio::spawn(watch(Arc::clone(self), reader.clone()));
        }
    }

    /// Whoever comes subscribes before asking whether somebody watches.
    fn stops_being_watched(&self) -> bool {
        let mut is_watched = lock(&self.is_watched);
        *is_watched = self.seen.receiver_count() > 0;
        !*is_watched
    }
}

async fn watch(topic: Arc<Topic>, reader: Reader) {
    let mut pause = SHORTEST_PAUSE;
    while !topic.stops_being_watched() {
        sleep(pause).await;
        let before = topic.seen.borrow().head;
        let looked = Arc::clone(&topic);
        let looked = reader.read(move |source| looked.look(source)).await;
        topic.fails.store(looked.is_err(), Ordering::Relaxed);
        pause = match looked {
            Ok(seen) if seen.head != before => SHORTEST_PAUSE,
            Ok(_) => pause.mul_f64(1.5).min(LONGEST_PAUSE),
            Err(_told) => LONGEST_PAUSE,
        };
    }
}

/// What a panic has left behind is what was last written.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
