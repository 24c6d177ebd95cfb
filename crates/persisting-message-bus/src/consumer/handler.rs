use std::any::Any;
use std::cell::Cell;
use std::error::Error as StdError;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::failing::text_of;
use super::page::Page;
use crate::correlation::Caused;
use crate::error::class::Class;
use crate::observe::HandlerTimes;
use crate::runner::Signals;
use crate::{
    Error, EventSet, Failure, FailureState, Lease, Message, MessageConsumerState, NoteWork,
    Position, StoreCursor, Work, WorkMessages, observe,
};

/// What a handler fails with: any error, through `?`.
pub type HandlerError = Box<dyn StdError + Send + Sync>;

/// A kind of handler that can work on the bus `B`. Implemented by [`External`](crate::External) and
/// [`Transactional`](crate::Transactional) only.
pub trait HandlePages<S, B: ?Sized> {
    /// Whether somebody else has to prolong the lease while a page is handled: a transaction that has
    /// stored the cursor keeps others from taking it.
    #[doc(hidden)]
    const NEEDS_HEARTBEAT: bool;

    /// Whether there is a hook that is called before the first message.
    #[doc(hidden)]
    fn has_hook(&self) -> bool;

    #[doc(hidden)]
    fn handle_page(&mut self, bus: &mut B, leases: &Leases, page: &mut Page<S>) -> PageOutcome;

    /// Handles a redriven message, and says whether it still was to be handled.
    #[doc(hidden)]
    fn handle_redriven(
        &mut self,
        bus: &mut B,
        leases: &Leases,
        lease: &Lease,
        message: &Message<S>,
    ) -> Result<bool, Error>;
}

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

/// What became of a page.
#[derive(Debug, Default)]
pub struct PageOutcome {
    pub(super) handled: usize,
    /// How many unknown messages the stored cursors have passed.
    pub(super) skipped: usize,
    pub(super) failure: Option<Error>,
    /// What was tried when the failure came, where that may be nobody's fault.
    pub(super) interrupted: Option<Tried>,
    /// The failure is noted already, as so many attempts: something of its message is final.
    pub(super) noted: Option<u32>,
    /// Effects are final up to so many messages of the page, and the cursor could not be stored there.
    pub(super) unstored: Option<usize>,
}

/// Messages that were tried together, after those that were handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tried {
    pub(super) messages: usize,
    /// Which of them was interrupted, where that is known.
    pub(super) offset: Option<usize>,
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

impl PageOutcome {
    pub(super) fn failed(error: Error) -> Self {
        Self {
            failure: Some(error),
            ..Self::default()
        }
    }

    /// The handler failed on the first message that is not handled.
    pub(super) fn handler_failed<S: EventSet>(
        &mut self,
        message: &Message<S>,
        cause: HandlerError,
    ) {
        let error = Error::of_handler(message, cause);
        self.interrupted = error.is_interruption().then_some(Tried {
            messages: 1,
            offset: Some(0),
        });
        self.failure = Some(error);
    }

    /// A cursor could not be stored, after external effects.
    pub(super) fn failed_to_store(&mut self, error: Error) {
        // To handle the messages again is worse than to store it later.
        if error.class().is_some_and(Class::may_pass) {
            self.unstored = Some(self.handled);
        }
        self.add_failure(error);
    }

    /// A failure that came after the one there is, if there is one.
    pub(super) fn add_failure(&mut self, error: Error) {
        self.failure = Some(match self.failure.take() {
            Some(first) => first.followed_by(error),
            None => error,
        });
    }
}

/// Calls a handler with a message, which is the cause of what it dispatches: one of the messages of `caused`.
pub(super) fn handle<S: EventSet>(
    leases: &Leases,
    caused: &Caused,
    message: &Message<S>,
    handle: impl FnOnce() -> Result<(), HandlerError>,
) -> Result<(), HandlerError> {
    let _handling = observe::handling(leases, message);
    message.set_as_cause(caused);
    guarded(handle)
}

/// Calls a closure of the application; its panic is an error like others.
pub(crate) fn guarded<T>(run: impl FnOnce() -> Result<T, HandlerError>) -> Result<T, HandlerError> {
    // What it left half done is its own: it is called again.
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let text = text_of_panic(&*panic);
        Err(format!("it panicked: {text}").into())
    })
}

/// What somebody said who panicked.
pub(crate) fn text_of_panic(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("without a text").to_owned()
}
