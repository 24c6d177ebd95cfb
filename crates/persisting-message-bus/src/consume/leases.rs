//! The leases of a consumer on its topics, and the consumer's writes under them.

use std::sync::Arc;
use std::time::Duration;

use crate::consume::deadline::Deadline;
use crate::consume::errors::storable_text;
use crate::consume::page::Page;
use crate::consume::recording::record_failure;
use crate::error::Error;
use crate::message::topic::EventSet;
use crate::message::typed::Message;
use crate::observe::HandlerTimes;
use crate::position::Position;
use crate::signals::Signals;
use crate::store::consumer_state::{MessageConsumerState, NoteWork};
use crate::store::failures::{FailureState, NewFailure};
use crate::store::lease::Lease;
use crate::store::work::{Work, WorkMessages};

/// The leases on the topics of a page, in the same order.
#[derive(Debug)]
pub struct Leases {
    pub(super) leases: Vec<Lease>,
    pub(super) duration: Duration,
    /// The work that is noted in the consumer's rows.
    pub(super) work: Option<Work>,
    /// The page that an earlier holder left unfinished, until a message of it is passed.
    inherited: Option<Work>,
    /// Signals that can end the consumer in the middle of a page.
    pub(super) signals: Arc<Signals>,
    /// The time at which the cursors must be stored again, which also extends the leases.
    pub(super) due: Deadline,
    /// Whether the leases were released, or are kept for later. In both cases they are not released
    /// at the end.
    is_settled: bool,
    pub(crate) handler_times: HandlerTimes,
}

/// Whether a stored cursor extends or releases its lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseDisposition {
    Extend,
    Release,
}

impl Leases {
    /// Returns an empty list of leases.
    pub(super) fn of(consumer: &str, duration: Duration, signals: Arc<Signals>) -> Self {
        Self {
            leases: Vec::new(),
            duration,
            work: None,
            inherited: None,
            signals,
            due: Deadline::after(store_interval(duration)),
            is_settled: false,
            handler_times: HandlerTimes::of(consumer),
        }
    }

    /// Records that the leases were released, or that the consumer keeps them.
    pub(super) fn are_settled(&mut self) {
        self.is_settled = true;
    }

    /// Records that the page after the cursors was noted when the leases were taken, unless an earlier
    /// holder has left something. A suspicion that is over is removed by a note of its own.
    pub(super) fn have_noted_a_page(&mut self) {
        let has_nothing_else =
            |lease: &Lease| lease.left.is_none() && lease.suspect_until.is_none();
        let is_noted = self.leases.iter().all(has_nothing_else);
        self.work = is_noted.then_some(Work::PAGE);
    }

    /// Notes the work that is handed out from now on, unless it is already noted.
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

    /// Notes in a transaction that it has begun. If another transaction sees the note, this one was
    /// committed. No other holder can take the leases until the transaction ends.
    pub(super) fn begin_work<B>(&self, bus: &mut B) -> Result<(), Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        let begun = self.work.unwrap_or(Work::PAGE).begun();
        self.note(bus, Some(begun), self.duration)
    }

    /// Returns whether an ended transaction was committed, although the cursor has not moved.
    pub(super) fn was_committed<B>(&self, bus: &mut B) -> Result<bool, Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        let Some(lease) = self.leases.first() else {
            return Ok(false);
        };
        let stored = match &lease.segment {
            Some(segment) => bus.stored_segment(lease.key(), segment)?,
            None => bus.stored_consumer(lease.key())?,
        };
        let stored = stored.filter(|stored| stored.lease_epoch == lease.epoch);
        Ok(stored
            .and_then(|stored| stored.work)
            .is_some_and(|work| work.begun))
    }

    /// Notes that a message must not be attempted again. Returns how often it has failed.
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
        let failure = NewFailure {
            position: message.position(),
            message_id: Some(message.message_id()),
            message_type: Some(message.message_type()),
            error: &storable_text(error),
            extend_lease: self.duration,
            state: FailureState::Final,
        };
        record_failure(bus, lease, &failure)
    }

    pub(super) fn note<B>(
        &self,
        bus: &mut B,
        work: Option<Work>,
        extend_lease: Duration,
    ) -> Result<(), Error>
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
                extend_lease,
            };
            bus.note_work(lease, &note)
        })
    }

    /// Returns whether messages are handed out one at a time, because an earlier holder ended while
    /// they were at work and did not release its lease.
    pub(super) fn are_suspect(&self) -> bool {
        let mut leases = self.leases.iter();
        leases.any(|lease| lease.left.is_some() || lease.suspect_until > lease.cursor)
    }

    /// Returns the work that an earlier holder had handed out when it ended, if that was a page.
    pub(super) fn left_page(&self) -> Option<Work> {
        let left = self.leases.iter().filter_map(|lease| lease.left);
        left.min_by_key(|left| !left.alone)
            .filter(|left| left.messages == WorkMessages::Page)
    }

    /// Returns the redriven message that an earlier holder had handed out when it ended.
    pub(super) fn left_redriven(lease: &Lease) -> Option<(Position, Work)> {
        let left = lease.left?;
        match left.messages {
            WorkMessages::Redriven(position) => Some((position, left)),
            WorkMessages::Page => None,
        }
    }

    /// Ends a page before the first message that has final effects. Returns that message if it is
    /// the first one of the page.
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

    /// Marks all messages of the page as suspect.
    pub(super) fn suspect<S>(&mut self, page: &Page<S>) {
        self.inherited = self.left_page();
        for (lease, span) in self.leases.iter_mut().zip(&page.spans) {
            lease.suspect_until = lease.suspect_until.max(span.end.cursor);
            lease.left = None;
        }
    }

    /// Returns the consumer's name, for logs.
    pub(super) fn consumer(&self) -> &str {
        self.leases.first().map_or("", |lease| &lease.consumer)
    }

    /// Returns whether a message, or the hook, has been handled.
    pub(super) fn has_left_start(&self) -> bool {
        self.leases.iter().any(|lease| lease.cursor.is_some())
    }

    /// Returns the fencing token: the highest epoch. Each holder takes all leases of its predecessor, so
    /// it has a higher one, also for a topic whose own epochs are lower because it was added later.
    pub(super) fn token(&self) -> i64 {
        let epochs = self.leases.iter().map(|lease| lease.epoch);
        epochs.max().unwrap_or_default()
    }

    /// Returns the lowest cursor.
    pub(super) fn cursor(&self) -> Position {
        let cursors = self.leases.iter().map(|lease| lease.cursor);
        cursors.min().flatten().unwrap_or_default()
    }

    /// Moves the cursors of the leases to the position after the first `handled` messages of a
    /// page.
    pub(super) fn advance<S>(&mut self, page: &Page<S>, handled: usize) {
        self.inherited = None;
        let places = page.places_after(handled);
        for (lease, (_, place)) in self.leases.iter_mut().zip(places) {
            (lease.cursor, lease.anchor) = (place.cursor, place.anchor);
        }
    }

    /// Keeps the leases for the retry delay, so that no consumer attempts the message earlier. They
    /// are released because they expire then.
    pub(super) fn hold_until_retry<B>(
        &mut self,
        bus: &mut B,
        duration: Duration,
    ) -> Result<(), Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        self.is_settled = true;
        self.note(bus, None, duration)
    }

    /// Hands a page that an earlier holder left unfinished to the next holder, if this one has passed
    /// no message of it. The leases expire at once, and their rows show the earlier holder's work.
    pub(super) fn hand_back<B>(&mut self, bus: &mut B) -> Result<(), Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        if let Some(left) = self.inherited {
            self.is_settled = true;
            self.note(bus, Some(left), Duration::ZERO)?;
        }
        Ok(())
    }

    /// Returns the lease on a topic.
    pub(super) fn on(&self, topic: &str) -> Option<&Lease> {
        self.leases.iter().find(|lease| lease.topic == topic)
    }

    /// Returns whether the consumer must end after the current message.
    pub(super) fn is_stopping(&self) -> bool {
        self.signals.is_stopping()
    }

    /// Releases all leases, unless they are settled. Returns the first error.
    pub(super) fn release<B>(&mut self, bus: &mut B) -> Result<(), Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        if self.is_settled {
            return Ok(());
        }
        self.is_settled = true;
        // A lease that cannot be released expires; the others must not wait for that.
        let released = self.leases.iter().map(|lease| bus.release(lease));
        released.fold(Ok(()), Result::and)
    }

    /// Returns the topics, for errors.
    pub(super) fn topics(&self) -> String {
        let topics: Vec<_> = self
            .leases
            .iter()
            .map(|lease| lease.topic.as_str())
            .collect();
        topics.join(", ")
    }
}

pub(super) fn store_interval(lease_duration: Duration) -> Duration {
    const MAX_STORE_INTERVAL: Duration = Duration::from_secs(1);
    MAX_STORE_INTERVAL.min(lease_duration / 3)
}
