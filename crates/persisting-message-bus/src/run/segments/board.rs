//! The segments that wait for a thread.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tracing::warn;

use crate::consume::consumer::MessageConsumer;
use crate::consume::ends::Ends;
use crate::consume::memory::Memory;
use crate::consume::segments::look::{Look, News};
use crate::error::Error;
use crate::locks::{lock, unpoisoned};
use crate::message::topic::EventSet;
use crate::run::connecting::Connector;
use crate::run::segments::desk::{Desk, DeskState};
use crate::run::step::{Next, Outcome, Pace};
use crate::run::thread::store_at_the_end;
use crate::signals::Signals;
use crate::store::consumer_state::MessageConsumerState;
use crate::store::segment::{Division, Segment};
use crate::store::source::MessageSource;

/// How long a thread without work waits before it checks whether it must stop.
const CHECK: Duration = Duration::from_secs(1);

/// The segments that wait for a thread, and what the process knows of each segment.
pub(super) struct Board {
    inner: Mutex<Inner>,
    changed: Condvar,
    signals: Arc<Signals>,
    own: Own,
}

#[derive(Default)]
struct Inner {
    division: Option<Division>,
    /// Increases when the segments are replaced.
    generation: u64,
    desks: HashMap<u16, Desk>,
    /// The segments that wait, the one that has waited longest first.
    ready: VecDeque<Segment>,
    ends: Option<Ends>,
    /// The number of threads that wait for a segment.
    idle: usize,
    /// Whether a thread has handled messages since the last look.
    has_changed: bool,
    has_ended: bool,
}

/// A segment for a thread.
pub(super) struct Job {
    pub(super) segment: Segment,
    pub(super) memory: Memory,
    pub(super) ends: Ends,
    generation: u64,
}

/// What identifies a job.
#[derive(Debug, Clone, Copy)]
pub(super) struct JobId {
    /// The number of its segment.
    pub(super) number: u16,
    generation: u64,
}

/// What identifies this process and its program.
pub(super) struct Own {
    owner: String,
    event_set: String,
}

impl Own {
    pub(super) fn of<S: EventSet, H>(consumer: &MessageConsumer<S, H>) -> Self {
        Self {
            owner: consumer.owner().to_owned(),
            event_set: consumer.event_set_text().to_owned(),
        }
    }
}

/// What a look has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    /// The number of segments that wait for a thread.
    pub(super) ready: usize,
    /// The number of segments on which a thread of this process works.
    pub(super) working: usize,
    /// Whether nothing is left to do, in this process or another one.
    pub(super) is_done: bool,
    /// The time at which the next segment has rested.
    pub(super) rests_until: Option<Instant>,
    /// Whether no segment is tried again.
    pub(super) has_stopped: bool,
}

impl Board {
    pub(super) fn new(signals: Arc<Signals>, own: Own) -> Self {
        Self {
            inner: Mutex::default(),
            changed: Condvar::new(),
            signals,
            own,
        }
    }

    /// Returns the next segment for a thread, or `None` if the thread must end.
    pub(super) fn next(&self) -> Option<Job> {
        let mut inner = self.lock();
        loop {
            if inner.has_ended || self.signals.is_stopping() {
                return None;
            }
            if let Some(job) = inner.next() {
                return Some(job);
            }
            inner.idle += 1;
            drop(inner);
            self.signals.recheck();
            inner = self.lock();
            if inner.ready.is_empty() && !inner.has_ended {
                inner = unpoisoned(self.changed.wait_timeout(inner, CHECK)).0;
            }
            inner.idle -= 1;
        }
    }

    /// Returns the next step after a time slice, and how often the same object has failed in a row.
    pub(super) fn step(&self, job: JobId, outcome: &Outcome, pace: &Pace) -> (Next, u32) {
        let mut inner = self.lock();
        match inner.desk_of(job) {
            Some(desk) => desk.step(outcome, pace),
            None => (Next::GoOn, 0),
        }
    }

    /// Puts a segment back after a time slice.
    pub(super) fn put_back(&self, job: JobId, memory: Memory, outcome: Outcome, next: Next) {
        let mut inner = self.lock();
        inner.has_changed = true;
        if let Some(desk) = inner.desk_of(job) {
            desk.put_back(memory, outcome, next);
        }
        drop(inner);
        self.signals.recheck();
    }

    /// Notes what a look has found. `news` are the segments that have new messages; `None` if any
    /// segment may have some.
    pub(super) fn note(&self, look: &Look, news: Option<&[News]>) -> Found {
        let mut inner = self.lock();
        inner.take_division(look.division);
        inner.has_changed = false;
        inner.ends = Some(look.ends.clone());
        match news {
            Some(news) => {
                for new in news {
                    inner.desks.entry(new.segment).or_default().learn(new);
                }
            }
            None => inner.all_up_to(look),
        }
        let found = inner.find_ready(look, &self.own);
        drop(inner);
        self.changed.notify_all();
        found
    }

    /// Returns whether a thread waits for a segment, and a look may find one.
    pub(super) fn wants_look(&self) -> bool {
        let inner = self.lock();
        inner.idle > 0 && inner.ready.is_empty() && inner.has_changed
    }

    /// Returns whether a thread has handled messages since the last look.
    pub(super) fn has_changed(&self) -> bool {
        self.lock().has_changed
    }

    /// Returns whether a thread waits for a segment, and the board has none left.
    pub(super) fn is_used_up(&self) -> bool {
        let inner = self.lock();
        inner.idle > 0 && inner.ready.is_empty()
    }

    /// Returns the error of a segment that fails.
    pub(super) fn failing(&self) -> Option<String> {
        let inner = self.lock();
        let mut desks = inner.desks.iter();
        desks.find_map(|(_, desk)| desk.failing.clone())
    }

    pub(super) fn has_ended(&self) -> bool {
        self.lock().has_ended
    }

    /// Ends the threads after their time slices.
    pub(super) fn end(&self) {
        self.lock().has_ended = true;
        self.changed.notify_all();
    }

    /// Returns the error of the first segment that is not tried again, if there is one.
    pub(super) fn first_error(&self) -> Option<Error> {
        let mut inner = self.lock();
        let mut desks: Vec<_> = inner.desks.iter_mut().collect();
        desks.sort_by_key(|(number, _)| **number);
        desks.into_iter().find_map(|(_, desk)| desk.take_error())
    }

    /// Stores the cursors of final effects once more, at the end, all on one connection. If none can be
    /// opened in time, the rest is not tried, because each try would wait as long.
    pub(super) fn store_unstored<S, H, B>(
        &self,
        consumer: &mut MessageConsumer<S, H>,
        connector: &Connector<B>,
    ) where
        S: EventSet,
        B: MessageSource + MessageConsumerState + Send + 'static,
    {
        let mut inner = self.lock();
        let mut unstored: Vec<_> = inner
            .desks
            .values_mut()
            .map(|desk| &mut desk.memory)
            .collect();
        unstored.retain(|memory| memory.has_unstored());
        let (mut bus, number) = (None, unstored.len());
        for (index, memory) in unstored.into_iter().enumerate() {
            consumer.memory = std::mem::take(memory);
            store_at_the_end(consumer, connector, &mut bus);
            let left = number - index - 1;
            if bus.is_none() && left > 0 {
                warn!(
                    messaging.consumer.group.name = consumer.name(),
                    segments = left,
                    "cursors of more segments not stored: their last messages will be handled again"
                );
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        lock(&self.inner)
    }
}

impl Inner {
    fn next(&mut self) -> Option<Job> {
        let segment = self.ready.pop_front()?;
        let ends = self.ends.clone()?;
        let desk = self.desks.entry(segment.number).or_default();
        Some(Job {
            memory: desk.begin(),
            segment,
            ends,
            generation: self.generation,
        })
    }

    /// Returns what is known of a job's segment; `None` if the segments were replaced since, because
    /// then nothing of that holds any more.
    fn desk_of(&mut self, job: JobId) -> Option<&mut Desk> {
        let is_known = self.generation == job.generation;
        is_known.then(|| self.desks.entry(job.number).or_default())
    }

    /// Forgets all segments if there are others now.
    fn take_division(&mut self, division: Division) {
        if !self
            .division
            .is_some_and(|known| known.is_same_as(division))
        {
            self.generation += 1;
            self.desks.clear();
        }
        self.division = Some(division);
        self.ready.clear();
        for desk in self.desks.values_mut() {
            if matches!(desk.state, DeskState::Ready) {
                desk.state = DeskState::Resting;
            }
        }
    }

    /// Notes that each segment may have messages up to the ends of the topics.
    fn all_up_to(&mut self, look: &Look) {
        for seen in &look.segments {
            let desk = self.desks.entry(seen.segment.number).or_default();
            desk.doubt(seen, &look.ends.heads);
            for (topic, head) in look.ends.heads.iter().enumerate() {
                desk.learn(&News {
                    segment: seen.segment.number,
                    topic,
                    position: head.position,
                });
            }
        }
    }

    /// Puts the segments on the board that are free and have something to do.
    fn find_ready(&mut self, look: &Look, own: &Own) -> Found {
        let now = Instant::now();
        let (mut ready, mut is_done, mut rests_until) = (Vec::new(), true, None);
        for seen in &look.segments {
            let desk = self.desks.entry(seen.segment.number).or_default();
            desk.see(seen, look.begun);
            if !desk.has_work(seen, &own.event_set) {
                is_done &= desk.is_resting();
                continue;
            }
            is_done = false;
            if desk.can_begin(now) && seen.is_free_for(&own.owner) {
                ready.push((desk.waits_since(seen, now), seen));
            } else if let (true, Some(until)) = (desk.is_resting(), desk.rests_until)
                && until > now
            {
                rests_until =
                    rests_until.map_or(Some(until), |first: Instant| Some(first.min(until)));
            }
        }
        ready.sort_by_key(|(waits_since, _)| *waits_since);
        if !look.is_paused {
            for (_, seen) in ready {
                if let Some(desk) = self.desks.get_mut(&seen.segment.number) {
                    desk.state = DeskState::Ready;
                    self.ready.push_back(seen.segment.clone());
                }
            }
        }
        Found {
            ready: self.ready.len(),
            working: self
                .desks
                .values()
                .filter(|desk| desk.is_worked_on())
                .count(),
            is_done,
            rests_until,
            has_stopped: self.has_stopped(),
        }
    }

    fn has_stopped(&self) -> bool {
        !self.desks.is_empty() && self.desks.values().all(Desk::has_stopped)
    }
}

impl Job {
    /// Returns what identifies the job when its segment is put back.
    pub(super) fn id(&self) -> JobId {
        JobId {
            number: self.segment.number,
            generation: self.generation,
        }
    }
}

#[cfg(test)]
mod tests;
