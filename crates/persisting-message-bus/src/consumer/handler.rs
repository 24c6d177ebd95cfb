use std::error::Error as StdError;
use std::time::Duration;

use super::page::Page;
use crate::{Error, Lease, MessageConsumerState, Position, StoreCursor};

/// What a handler fails with: any error, through `?`.
pub type HandlerError = Box<dyn StdError + Send + Sync>;

/// A kind of handler that can work on the bus `B`. Implemented by [`External`](crate::External) and
/// [`Transactional`](crate::Transactional) only.
pub trait HandlePages<S, B: ?Sized> {
    #[doc(hidden)]
    fn handle_page(&mut self, bus: &mut B, leases: &Leases, page: &mut Page<S>) -> PageOutcome;
}

/// The leases on the topics of a page, in the same order.
#[derive(Debug)]
pub struct Leases {
    pub(super) leases: Vec<Lease>,
    pub(super) duration: Duration,
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
    pub(super) leases_released: bool,
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

    /// Gives them back, all that can be.
    pub(super) fn release<B>(&self, bus: &mut B) -> Result<(), Error>
    where
        B: MessageConsumerState + ?Sized,
    {
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

    /// A failure that came after the one there is, if there is one.
    pub(super) fn add_failure(&mut self, error: Error) {
        self.failure = Some(match self.failure.take() {
            Some(first) => first.followed_by(error),
            None => error,
        });
    }
}
