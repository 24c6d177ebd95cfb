//! The leases of a consumer on its topics, and what is written under them.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use super::failing::text_of;
use super::page::Page;
use crate::observe::HandlerTimes;
use crate::runner::Signals;
use crate::{
    Error, EventSet, Failure, FailureState, Lease, Message, MessageConsumerState, NoteWork,
    Position, StoreCursor, Work, WorkMessages, observe,
};

/// The leases on the topics of a page, in the same order.
#[derive(Debug)]
pub struct Leases {
    pub(super) leases: Vec<Lease>,
    pub(super) duration: Duration,
    /// What is noted in the consumer's rows.
    pub(super) work: Option<Work>,
    /// Who may ask the consumer to end before the page does.
    pub(super) signals: Arc<Signals>,
    /// Whether they were given back.
    pub(super) released: Cell<bool>,
    pub(crate) handler_times: HandlerTimes,
}

/// What becomes of the leases when cursors are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    Hold,
    Release,
}

impl Leases {
    /// Stores where the consumer stands when it has handled so many messages of the page.
    pub(super) fn store<S, B>(
        &self,
        bus: &mut B,
        page: &Page<S>,
        handled: usize,
        then: Then,
    ) -> Result<(), Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        // Those of topics without a message too: they have to be held as long.
        let mut cursors = self.leases.iter().zip(page.cursors_after(handled));
        cursors.try_for_each(|(lease, (_, cursor))| self.store_one(bus, lease, cursor, then))
    }

    /// Notes what is handed out from now on, if that is not noted already.
    pub(super) fn hand_out<B>(&mut self, bus: &mut B, work: Work) -> Result<(), Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        if self.work != Some(work) {
            self.note(bus, Some(work), self.duration)?;
            self.work = Some(work);
        }
        Ok(())
    }

    /// Notes in a transaction that it has begun: who sees it from outside knows that it was committed.
    /// Nobody takes the leases until the transaction ends.
    pub(super) fn begin_work<B>(&self, bus: &mut B) -> Result<(), Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        let begun = self.work.unwrap_or(Work::PAGE).begun();
        self.note(bus, Some(begun), self.duration)
    }

    /// Whether a transaction that is over was committed, although the cursor has not moved.
    pub(super) fn was_committed<B>(&self, bus: &mut B) -> Result<bool, Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        let Some(lease) = self.leases.first() else {
            return Ok(false);
        };
        let stored = bus.stored_consumer(&lease.consumer, &lease.topic)?;
        let stored = stored.filter(|stored| stored.lease_epoch == lease.epoch);
        Ok(stored
            .and_then(|stored| stored.work)
            .is_some_and(|work| work.begun))
    }

    /// Notes that a message must not be attempted again.
    pub(super) fn note_final<S, B>(
        &self,
        bus: &mut B,
        message: &Message<S>,
        error: &Error,
    ) -> Result<u32, Error>
    where
        S: EventSet,
        B: MessageConsumerState + ?Sized,
    {
        let Some(lease) = self.on(message.topic()) else {
            return Ok(0);
        };
        let failure = Failure {
            position: message.position(),
            message_id: Some(message.message_id()),
            message_type: Some(message.message_type()),
            error: &text_of(error),
            hold: self.duration,
            state: FailureState::Final,
        };
        let attempts = bus.record_failure(lease, &failure)?;
        observe::failed(lease, message.position(), attempts, failure.error);
        Ok(attempts)
    }

    fn note<B>(&self, bus: &mut B, work: Option<Work>, hold: Duration) -> Result<(), Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        let mut leases = self.leases.iter();
        leases.try_for_each(|lease| {
            let suspect_until = lease
                .suspect_until
                .filter(|until| Some(*until) > lease.cursor);
            let note = NoteWork {
                work,
                suspect_until,
                hold,
            };
            bus.note_work(lease, &note)
        })
    }

    /// Whether messages are handed out one at a time: another holder ended without a word, and these were
    /// at work then.
    pub(super) fn are_suspect(&self) -> bool {
        let mut leases = self.leases.iter();
        leases.any(|lease| lease.left.is_some() || lease.suspect_until > lease.cursor)
    }

    /// What another holder had handed out of the page when it ended.
    pub(super) fn left_page(&self) -> Option<Work> {
        let left = self.leases.iter().filter_map(|lease| lease.left);
        left.min_by_key(|left| !left.alone)
            .filter(|left| left.messages == WorkMessages::Page)
    }

    /// The redriven message that another holder had handed out when it ended.
    pub(super) fn left_redriven(lease: &Lease) -> Option<(Position, Work)> {
        let left = lease.left?;
        match left.messages {
            WorkMessages::Redriven(position) => Some((position, left)),
            WorkMessages::Page => None,
        }
    }

    /// Lets a page end before the first message of which something is final. Returns it if that is the first
    /// one of the page.
    pub(super) fn first_final<S>(
        &self,
        finals: &[Option<Position>],
        page: &mut Page<S>,
    ) -> Option<(&Lease, Position)> {
        let mut first = None;
        for (lease, position) in self.leases.iter().zip(finals) {
            if let Some(position) = *position
                && Some(position) > lease.cursor
                && page.end_before(&lease.topic, position)
            {
                first = Some((lease, position));
            }
        }
        first
    }

    /// All messages of the page are suspect.
    pub(super) fn suspect<S>(&mut self, page: &Page<S>) {
        for (lease, span) in self.leases.iter_mut().zip(&page.spans) {
            lease.suspect_until = lease.suspect_until.max(span.end);
            lease.left = None;
        }
    }

    /// The consumer's name, for logs.
    pub(super) fn consumer(&self) -> &str {
        self.leases.first().map_or("", |lease| &lease.consumer)
    }

    /// Whether some message, or the hook, has been handled.
    pub(super) fn has_left_start(&self) -> bool {
        self.leases.iter().any(|lease| lease.cursor.is_some())
    }

    /// The lowest cursor.
    pub(super) fn cursor(&self) -> Position {
        let cursors = self.leases.iter().map(|lease| lease.cursor);
        cursors.min().flatten().unwrap_or_default()
    }

    /// Remembers in them where the consumer stands behind the first messages of a page.
    pub(super) fn advance<S>(&mut self, page: &Page<S>, handled: usize) {
        let cursors = page.cursors_after(handled);
        for (lease, (_, cursor)) in self.leases.iter_mut().zip(cursors) {
            lease.cursor = cursor;
        }
    }

    /// Remembers that the consumer has left the start.
    pub(super) fn leave_start<B>(&self, bus: &mut B) -> Result<(), Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        let start = Some(Position::START);
        let mut leases = self.leases.iter();
        leases.try_for_each(|lease| self.store_one(bus, lease, start, Then::Hold))
    }

    fn store_one<B>(
        &self,
        bus: &mut B,
        lease: &Lease,
        cursor: Option<Position>,
        then: Then,
    ) -> Result<(), Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        let hold = (then == Then::Hold).then_some(self.duration);
        bus.store_cursor(lease, &StoreCursor { cursor, hold })
    }

    /// Keeps them for as long as nobody is to attempt anything, and gives them back by that.
    pub(super) fn rest<B>(&self, bus: &mut B, duration: Duration) -> Result<(), Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        self.released.set(true);
        self.note(bus, None, duration)
    }

    /// How often the cursor of a slow page is stored.
    pub(super) fn store_interval(&self) -> Duration {
        const LONGEST: Duration = Duration::from_secs(1);
        LONGEST.min(self.duration / 3)
    }

    /// The one on a topic.
    pub(super) fn on(&self, topic: &str) -> Option<&Lease> {
        self.leases.iter().find(|lease| lease.topic == topic)
    }

    /// Whether the consumer is to end behind the message at hand.
    pub(super) fn is_stopping(&self) -> bool {
        self.signals.is_stopping()
    }

    /// Gives them back, all that can be.
    pub(super) fn release<B>(&self, bus: &mut B) -> Result<(), Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        if self.released.replace(true) {
            return Ok(());
        }
        let mut leases = self.leases.iter();
        leases.try_for_each(|lease| bus.release(lease))
    }

    /// The topics, for errors.
    pub(super) fn topics(&self) -> String {
        let topics: Vec<_> = self
            .leases
            .iter()
            .map(|lease| lease.topic.as_str())
            .collect();
        topics.join(", ")
    }
}
