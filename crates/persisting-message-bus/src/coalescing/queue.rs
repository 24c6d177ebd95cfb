use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::Limits;
use super::ticket::{Ticket, Turn};
use crate::{Duplicates, Error, RawMessage};

/// Who waits for a commit, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// There is room, or nobody left.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    messages: Vec<RawMessage>,
    entries: VecDeque<Entry>,
    /// How many commit, or were told to.
    leading: usize,
    committing: usize,
    is_closed: bool,
}

/// What a caller has brought.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) ticket: Arc<Ticket>,
    /// How many messages.
    pub(super) messages: usize,
    pub(super) duplicates: Duplicates,
}

/// Those whose messages are committed together, and these messages in the same order.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) entries: Vec<Entry>,
    pub(super) messages: Vec<RawMessage>,
}

impl Queue {
    /// Queues up, when there is room; who finds a connection free leads.
    pub(super) fn enter(
        &self,
        messages: Vec<RawMessage>,
        duplicates: Duplicates,
        limits: &Limits,
        deadline: Option<Instant>,
    ) -> Result<Arc<Ticket>, Error> {
        let most = limits.in_the_queue;
        let is_full = |state: &mut State| {
            !state.is_closed && !state.entries.is_empty() && state.messages.len() >= most
        };
        let mut state = wait_while(&self.changed, self.lock(), deadline, is_full);
        if state.is_closed {
            return Err(refused("the coalescer is closed", false));
        }
        if is_full(&mut state) {
            return Err(refused("too many others wait", true));
        }
        let ticket = Arc::<Ticket>::default();
        state.entries.push_back(Entry {
            ticket: Arc::clone(&ticket),
            messages: messages.len(),
            duplicates,
        });
        state.messages.extend(messages);
        if state.leading < limits.connections {
            state.leading += 1;
            state.have_next_lead();
        }
        Ok(ticket)
    }

    /// Goes away without having been committed. Where it is too late for that, waits for the outcome.
    pub(super) fn leave(&self, ticket: &Arc<Ticket>) -> Result<Turn, Error> {
        let mut state = self.lock();
        // Who leads is told so under this lock.
        let index = state.index_of(ticket).filter(|_| ticket.is_waiting());
        let Some(index) = index else {
            drop(state);
            return Ok(ticket.wait());
        };
        state.remove(index);
        self.changed.notify_all();
        Err(refused("others took too long", true))
    }

    /// Begins to commit: those that wait come along, with so many messages together at most.
    pub(super) fn begin(&self, group: &mut Group, most: usize) {
        let mut state = self.lock();
        state.committing += 1;
        state.join(group, most);
        self.changed.notify_all();
    }

    /// Ends that, and has the next one lead.
    pub(super) fn pass_on(&self) {
        let mut state = self.lock();
        state.committing -= 1;
        if !state.have_next_lead() {
            state.leading -= 1;
        }
        self.changed.notify_all();
    }

    pub(super) fn messages(&self) -> usize {
        self.lock().messages.len()
    }

    pub(super) fn is_committing(&self) -> bool {
        self.lock().committing > 0
    }

    /// Accepts nobody any more; says whether nobody is left in time.
    pub(super) fn close(&self, deadline: Option<Instant>) -> bool {
        let mut state = self.lock();
        state.is_closed = true;
        self.changed.notify_all();
        let state = wait_while(&self.changed, state, deadline, |state| state.leading > 0);
        state.leading == 0
    }

    /// What is changed under it, is changed as a whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes the first one out of the queue to lead, if there is one.
    fn have_next_lead(&mut self) -> bool {
        let Some(first) = self.entries.front() else {
            return false;
        };
        let ticket = Arc::clone(&first.ticket);
        let mut group = Group::default();
        self.join(&mut group, first.messages);
        ticket.give(Turn::Lead(group));
        true
    }

    fn join(&mut self, group: &mut Group, most: usize) {
        let mut messages = group.messages.len();
        let fits = |entry: &&Entry| {
            messages += entry.messages;
            messages <= most
        };
        let entries = self.entries.iter().take_while(fits).count();
        let entries = self.entries.drain(..entries);
        let before = group.entries.len();
        group.entries.extend(entries);
        let joining = group.entries[before..].iter();
        let messages = joining.map(|entry| entry.messages).sum();
        let rest = self.messages.split_off(messages);
        let mut joining = std::mem::replace(&mut self.messages, rest);
        group.messages.append(&mut joining);
    }

    fn index_of(&self, ticket: &Arc<Ticket>) -> Option<usize> {
        let mut entries = self.entries.iter();
        entries.position(|entry| Arc::ptr_eq(&entry.ticket, ticket))
    }

    fn remove(&mut self, index: usize) {
        let before = self.entries.range(..index).map(|entry| entry.messages);
        let first: usize = before.sum();
        if let Some(entry) = self.entries.remove(index) {
            self.messages.drain(first..first + entry.messages);
        }
    }
}

pub(super) fn refused(why: &str, retryable: bool) -> Error {
    let doing = "queueing up for a commit with others; nothing was written";
    Error::repository(doing, why, retryable)
}

/// Waits while the condition holds and there is time: for ever, if there is no deadline.
pub(super) fn wait_while<'a, T>(
    changed: &Condvar,
    guard: MutexGuard<'a, T>,
    deadline: Option<Instant>,
    condition: impl FnMut(&mut T) -> bool,
) -> MutexGuard<'a, T> {
    match deadline {
        Some(deadline) => {
            let left = deadline.saturating_duration_since(Instant::now());
            let waited = changed.wait_timeout_while(guard, left, condition);
            waited.unwrap_or_else(PoisonError::into_inner).0
        }
        None => {
            let waited = changed.wait_while(guard, condition);
            waited.unwrap_or_else(PoisonError::into_inner)
        }
    }
}
