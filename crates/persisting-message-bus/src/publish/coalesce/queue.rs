use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Instant;

use crate::error::Error;
use crate::error::class::Class;
use crate::locks::lock;
use crate::message::raw::RawMessage;
use crate::publish::coalesce::limits::Limits;
use crate::publish::coalesce::mailbox::{Mailbox, wait_while};
use crate::store::repository::OnDuplicate;

/// The callers that wait for a commit, in the order of their arrival.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// The queue has room, or no caller is left.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    messages: Vec<RawMessage>,
    entries: VecDeque<Entry>,
    /// How many callers commit, or were told to.
    leading: usize,
    committing: usize,
    is_closed: bool,
}

/// The messages of one caller.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) mailbox: Arc<Mailbox<Turn>>,
    /// The number of messages.
    pub(super) messages: usize,
    pub(super) duplicates: OnDuplicate,
}

/// What a waiting caller receives.
#[derive(Debug)]
pub(super) enum Turn {
    /// The caller commits its own messages, and those that other callers have queued meanwhile.
    Lead(Group),
    /// Another caller has committed its messages, or has failed to.
    Committed(Result<usize, Error>),
}

/// The callers whose messages are committed together, and these messages in the same order.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) entries: Vec<Entry>,
    pub(super) messages: Vec<RawMessage>,
}

impl Queue {
    /// Queues the messages when there is room. The caller leads if a connection is free.
    pub(super) fn enter(
        &self,
        messages: Vec<RawMessage>,
        duplicates: OnDuplicate,
        limits: &Limits,
        deadline: Option<Instant>,
    ) -> Result<Arc<Mailbox<Turn>>, Error> {
        let most = limits.max_queue_size;
        let is_full = |state: &mut State| {
            !state.is_closed && !state.entries.is_empty() && state.messages.len() >= most
        };
        let mut state = wait_while(&self.changed, self.lock(), deadline, is_full);
        if state.is_closed {
            return Err(refused("the coalescer is closed", Class::Permanent));
        }
        if is_full(&mut state) {
            return Err(refused("the queue is full", Class::Transient));
        }
        let mailbox = Arc::<Mailbox<Turn>>::default();
        state.entries.push_back(Entry {
            mailbox: Arc::clone(&mailbox),
            messages: messages.len(),
            duplicates,
        });
        state.messages.extend(messages);
        if state.leading < limits.max_connections {
            state.leading += 1;
            state.have_next_lead();
        }
        Ok(mailbox)
    }

    /// Leaves the queue without a commit. If it is too late for that, waits for the outcome.
    pub(super) fn leave(&self, mailbox: &Arc<Mailbox<Turn>>) -> Result<Turn, Error> {
        let mut state = self.lock();
        // A caller is told to lead under this lock, so its mailbox cannot change here.
        let index = state.index_of(mailbox).filter(|_| mailbox.is_waiting());
        let Some(index) = index else {
            drop(state);
            return Ok(mailbox.wait());
        };
        state.remove(index);
        self.changed.notify_all();
        Err(refused("the wait exceeded queue_timeout", Class::Transient))
    }

    /// Begins to commit. Queued callers join the group, up to `most` messages in total.
    pub(super) fn begin(&self, group: &mut Group, most: usize) {
        let mut state = self.lock();
        state.committing += 1;
        state.join(group, most);
        self.changed.notify_all();
    }

    /// Ends the commit, and lets the next caller lead.
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

    /// Refuses new callers from now on; returns `true` if no caller is left at the deadline.
    pub(super) fn close(&self, deadline: Option<Instant>) -> bool {
        let mut state = self.lock();
        state.is_closed = true;
        self.changed.notify_all();
        let state = wait_while(&self.changed, state, deadline, |state| state.leading > 0);
        state.leading == 0
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    /// Takes the first caller out of the queue to lead; returns `false` if the queue is empty.
    fn have_next_lead(&mut self) -> bool {
        let Some(first) = self.entries.front() else {
            return false;
        };
        let mailbox = Arc::clone(&first.mailbox);
        let mut group = Group::default();
        self.join(&mut group, first.messages);
        mailbox.give(Turn::Lead(group));
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

    fn index_of(&self, mailbox: &Arc<Mailbox<Turn>>) -> Option<usize> {
        let mut entries = self.entries.iter();
        entries.position(|entry| Arc::ptr_eq(&entry.mailbox, mailbox))
    }

    fn remove(&mut self, index: usize) {
        let before = self.entries.range(..index).map(|entry| entry.messages);
        let first: usize = before.sum();
        if let Some(entry) = self.entries.remove(index) {
            self.messages.drain(first..first + entry.messages);
        }
    }
}

pub(crate) fn refused(why: &str, class: Class) -> Error {
    let doing = "queueing for a group commit; nothing was written";
    Error::of_repository(doing, why, class)
}
