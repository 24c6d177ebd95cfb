use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::{Notify, OwnedSemaphorePermit, oneshot};

use crate::asynchronous::coalesce::connection::Kept;
use crate::error::Error;
use crate::error::class::Class;
use crate::locks::lock;
use crate::message::raw::RawMessage;
use crate::publish::coalesce::queue::refused;
use crate::store::repository::OnDuplicate;

pub(super) type Answer = Result<usize, Error>;

/// The dispatches that wait for a commit, in the order of their arrival.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// The last writer has ended.
    ended: Notify,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Waiting>,
    /// The number of the next dispatch.
    next: u64,
    writers: usize,
    /// The connections of writers that have ended.
    idle: Vec<Kept>,
    is_closed: bool,
}

/// The messages of one dispatch.
#[derive(Debug)]
pub(super) struct Waiting {
    number: u64,
    pub(super) messages: Vec<RawMessage>,
    pub(super) duplicates: OnDuplicate,
    pub(super) answer: oneshot::Sender<Answer>,
    /// Its place among those that may wait, until a writer takes it.
    _place: Option<OwnedSemaphorePermit>,
}

/// A dispatch in the queue. If this is dropped before a writer has taken the dispatch, nothing is
/// written.
pub(super) struct Ticket {
    queue: Arc<Queue>,
    number: u64,
    pub(super) answer: oneshot::Receiver<Answer>,
}

impl Queue {
    /// Queues messages. Returns the ticket, and what another writer needs, if one must start.
    pub(super) fn enter(
        self: &Arc<Self>,
        messages: Vec<RawMessage>,
        duplicates: OnDuplicate,
        place: OwnedSemaphorePermit,
        max_writers: usize,
    ) -> Result<(Ticket, Option<Writing>), Error> {
        let (answer, receiver) = oneshot::channel();
        let mut state = self.lock();
        if state.is_closed {
            return Err(refused("the coalescer is closed", Class::Permanent));
        }
        let number = state.next;
        state.next += 1;
        state.waiting.push_back(Waiting {
            number,
            messages,
            duplicates,
            answer,
            _place: Some(place),
        });
        let must_start = state.writers < max_writers;
        state.writers += usize::from(must_start);
        let queue = || Arc::clone(self);
        let ticket = Ticket {
            queue: queue(),
            number,
            answer: receiver,
        };
        let kept = if must_start { state.idle.pop() } else { None };
        let writing = must_start.then(|| Writing {
            queue: queue(),
            kept: kept.unwrap_or_default(),
            counts: true,
        });
        Ok((ticket, writing))
    }

    pub(super) fn messages(&self) -> usize {
        let state = self.lock();
        let messages = state.waiting.iter().map(|waiting| waiting.messages.len());
        messages.sum()
    }

    pub(super) fn is_committing(&self) -> bool {
        self.lock().writers > 0
    }

    /// Refuses new dispatches from now on, and waits until the last writer has ended.
    pub(super) async fn close(&self) {
        loop {
            let ended = self.ended.notified();
            if self.refuse_others() == 0 {
                return;
            }
            ended.await;
        }
    }

    /// Refuses new dispatches, and returns the number of writers.
    fn refuse_others(&self) -> usize {
        let mut state = self.lock();
        state.is_closed = true;
        state.idle.clear();
        state.writers
    }

    /// Removes a dispatch; returns `false` if a writer has taken it.
    fn remove(&self, number: u64) -> bool {
        let mut state = self.lock();
        let found = state.waiting.binary_search_by_key(&number, |it| it.number);
        found.is_ok_and(|index| state.waiting.remove(index).is_some())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// The right to write, which ends with the last dispatch, or with the task.
pub(super) struct Writing {
    queue: Arc<Queue>,
    pub(super) kept: Kept,
    counts: bool,
}

impl Writing {
    /// Takes the first dispatches, up to `most` messages in total. `None` if there is none. The next
    /// dispatch then starts another writer. So it must find that this one no longer counts, and the
    /// connection.
    pub(super) fn take(&mut self, most: usize) -> Option<Vec<Waiting>> {
        let mut state = self.queue.lock();
        let mut messages = 0;
        let fits = |waiting: &&Waiting| {
            messages += waiting.messages.len();
            messages <= most
        };
        // A dispatch that is larger is committed alone.
        let fitting = state.waiting.iter().take_while(fits).count().max(1);
        let fitting = fitting.min(state.waiting.len());
        if fitting == 0 {
            self.counts = false;
            state.writers -= 1;
            if !state.is_closed {
                state.idle.push(std::mem::take(&mut self.kept));
            }
            self.queue.ended.notify_waiters();
            return None;
        }
        let taken = state.waiting.drain(..fitting);
        Some(
            taken
                .map(|waiting| Waiting {
                    _place: None,
                    ..waiting
                })
                .collect(),
        )
    }
}

impl Drop for Writing {
    /// The task was ended, as with its runtime. If no other writer is left, those that wait are refused:
    /// their senders are dropped.
    fn drop(&mut self) {
        if self.counts {
            let mut state = self.queue.lock();
            state.writers -= 1;
            let refused = if state.writers == 0 {
                std::mem::take(&mut state.waiting)
            } else {
                VecDeque::new()
            };
            drop(state);
            drop(refused);
            self.queue.ended.notify_waiters();
        }
    }
}

impl Ticket {
    /// Leaves the queue; returns `false` if it is too late for that.
    pub(super) fn leave(&self) -> bool {
        self.queue.remove(self.number)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.queue.remove(self.number);
    }
}
