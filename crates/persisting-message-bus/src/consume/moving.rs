//! Changes the consumer's rows on all topics or on none, for operators.

use crate::consume::consumer::MessageConsumer;
use crate::consume::leases::Leases;
use crate::consume::topic_reader::TopicReader;
use crate::error::Error;
use crate::message::name;
use crate::message::topic::EventSet;
use crate::store::consumer_state::{CursorUpdate, MessageConsumerState};
use crate::store::event_set::EventSetRecord;
use crate::store::identity::ConsumerIdentity;
use crate::store::lease::Lease;
use crate::store::place::Place;
use crate::store::source::MessageSource;
use crate::store::transactions::TransactionControl;

/// What a row stores afterwards.
pub(super) struct Move {
    pub(super) event_set: String,
    pub(super) to: MoveTo,
}

/// What happens to a cursor.
pub(super) enum MoveTo {
    /// It moves, and messages that come again are replays.
    Again(Place),
    /// It stays, with another anchor.
    SameCursor(Place),
}

/// Which rows of a consumer change.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rows {
    /// Its own, on each topic. Fails if it is divided into segments.
    Whole,
    /// Those of its segments, on each topic. If it is not divided yet, its own.
    Segments,
}

impl<S: EventSet, H> MessageConsumer<S, H> {
    /// Takes the leases, decides what each row stores, and stores it for all topics or for none.
    /// `decide` receives the index of the topic.
    pub(super) fn move_rows<B>(
        &mut self,
        bus: &mut B,
        rows: Rows,
        mut decide: impl FnMut(&mut Self, &mut B, usize, &Lease) -> Result<Move, Error>,
    ) -> Result<(), Error>
    where
        B: MessageSource + MessageConsumerState + TransactionControl,
    {
        name::validate("consumer", &self.name)?;
        self.source = bus.source_name();
        let mut leases = match rows {
            Rows::Whole => self.hold_whole(bus)?,
            Rows::Segments => self.hold_segments(bus)?,
        };
        leases.leases.iter_mut().for_each(include_backfilled);
        let decided = leases.leases.iter().map(|lease| {
            let is_its = |reader: &TopicReader| reader.topic == lease.topic;
            let index = self.topics.iter().position(is_its).unwrap_or_default();
            decide(self, bus, index, lease)
        });
        let moved = decided.collect::<Result<Vec<_>, _>>().and_then(|decided| {
            bus.in_transaction(|bus| {
                let mut moves = leases.leases.iter().zip(&decided);
                moves.try_for_each(|(lease, decided)| {
                    let identity = ConsumerIdentity {
                        event_set: Some(&decided.event_set),
                        source: self.source.as_deref(),
                    };
                    bus.identify(lease, identity)?;
                    decided.to.store(bus, lease)
                })
            })
        });
        match (moved, leases.release(bus)) {
            (Err(error), Err(second)) => Err(error.followed_by(second)),
            (moved, released) => moved.and(released),
        }
    }

    /// Takes the leases on all topics, or none. Fails if the consumer is divided, because its own
    /// cursor is not used then.
    pub(super) fn hold_whole<B>(&self, bus: &mut B) -> Result<Leases, Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
    {
        let stored = self.whole_rows(bus)?;
        self.check_undivided(&stored)?;
        let leases = self.acquire(bus, false)?;
        self.leave_divided(bus, leases, &stored)
    }
}

/// During a backfill, the consumer has handled messages after its cursor: those up to the end of
/// the backfill.
fn include_backfilled(lease: &mut Lease) {
    let text = lease.identity.event_set.as_deref();
    let record = text.and_then(EventSetRecord::from_stored);
    if let Some(backfill) = record.and_then(|record| record.backfill) {
        lease.replay_until = lease.replay_until.max(Some(backfill.until()));
    }
}

impl MoveTo {
    /// Stores the cursor and releases the lease.
    fn store<B>(&self, bus: &mut B, lease: &Lease) -> Result<(), Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        match *self {
            Self::Again(place) => bus.reset(lease, place),
            Self::SameCursor(place) => bus.store_cursor(
                lease,
                &CursorUpdate {
                    place,
                    extend_lease: None,
                },
            ),
        }
    }
}
