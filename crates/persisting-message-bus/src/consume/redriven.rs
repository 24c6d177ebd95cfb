//! Parked messages that the consumer must handle again.

use std::time::{Duration, Instant};

use crate::consume::caution::{Interruption, Verdict};
use crate::consume::consumer::MessageConsumer;
use crate::consume::errors::storable_text;
use crate::consume::handler::PageHandler;
use crate::consume::leases::Leases;
use crate::consume::recording::record_failure;
use crate::consume::suspicion::Suspicion;
use crate::error::Error;
use crate::message::topic::EventSet;
use crate::observe;
use crate::position::Position;
use crate::store::consumer_state::{ConsumerRow, MessageConsumerState};
use crate::store::failures::{FailedMessage, FailedMessagesRequest, FailureState, NewFailure};
use crate::store::lease::Lease;
use crate::store::source::MessageSource;
use crate::store::work::Work;

/// A redriven message, and the index of its topic.
type Redriven = (usize, FailedMessage);

impl<S: EventSet, H> MessageConsumer<S, H> {
    /// Handles redriven messages, at most a page, lowest position first. Returns the number of
    /// handled messages, or `None` if there are none. A message that fails is parked again.
    pub(super) fn handle_redriven<B>(
        &mut self,
        bus: &mut B,
        stored: &[Option<ConsumerRow>],
        suspicion: Suspicion,
    ) -> Result<Option<usize>, Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
        H: PageHandler<S, B>,
    {
        let mut known = stored.iter().flatten();
        if known.all(|stored| stored.first_redriven.is_none()) {
            self.memory.unknown_redriven.clear();
            return Ok(None);
        }
        // Only a newer program can handle these, so this one needs no lease for them.
        if !self.memory.unknown_redriven.is_empty() && self.redriven(bus, 1)?.is_empty() {
            return Ok(None);
        }
        let begun = Instant::now();
        let handled = self.with_leases(
            bus,
            stored,
            suspicion,
            false,
            |consumer, bus, leases, pass| {
                let _span = observe::page(&consumer.name, consumer.segment_number()).entered();
                consumer.settle_left_redriven(bus, leases)?;
                let page = consumer.redriven(bus, consumer.settings.page_size)?;
                consumer.handle_redriven_page(bus, leases, &page, pass.is_alone())
            },
        )?;
        observe::page_handled(&self.name, self.segment_number(), handled, begun);
        Ok(Some(handled))
    }

    /// Counts a failure of a redriven message that ended its process while no other message was
    /// handled in it.
    fn settle_left_redriven<B>(&mut self, bus: &mut B, leases: &mut Leases) -> Result<(), Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        for lease in &mut leases.leases {
            let Some((position, left)) = Leases::left_redriven(lease) else {
                continue;
            };
            lease.left = None;
            let extend_lease = leases.duration;
            if left.alone && bus.is_redriven(lease, position, extend_lease)? {
                let error = Error::died_at(lease, position);
                note_parked(bus, lease, extend_lease, position, &error)?;
            }
        }
        Ok(())
    }

    /// Returns the first redriven messages of all topics, without those that this program does not
    /// know.
    fn redriven<B>(&self, bus: &mut B, limit: usize) -> Result<Vec<Redriven>, Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        let mut redriven = Vec::new();
        for (index, reader) in self.topics.iter().enumerate() {
            let page = bus.failed_messages(&FailedMessagesRequest {
                consumer: &self.name,
                topic: reader.topic,
                state: FailureState::Redriven,
                slots: self.slots(),
                after: Position::START,
                limit: limit.saturating_add(self.memory.unknown_redriven.len()),
            })?;
            let page = page.into_iter().map(|failed| (index, failed));
            redriven.extend(page.filter(|(index, failed)| {
                let it = (*index, failed.position);
                !self.memory.unknown_redriven.contains(&it)
            }));
        }
        redriven.sort_by_key(|(_, failed)| failed.position);
        redriven.truncate(limit);
        Ok(redriven)
    }

    fn handle_redriven_page<B>(
        &mut self,
        bus: &mut B,
        leases: &mut Leases,
        page: &[Redriven],
        alone: bool,
    ) -> Result<usize, Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
        H: PageHandler<S, B>,
    {
        let mut handled = 0;
        for (index, failed) in page {
            if leases.is_stopping() {
                break;
            }
            let asked = Instant::now();
            // This renews the leases, too.
            leases.hand_out(bus, Work::redriven(failed.position).alone(alone))?;
            handled += usize::from(self.handle_one(bus, leases, (*index, failed), asked)?);
        }
        Ok(handled)
    }

    /// Handles one message of a topic, whose leases were renewed by a statement that was sent at this time.
    /// Returns whether that succeeded. Forgets a message of a retired type.
    fn handle_one<B>(
        &mut self,
        bus: &mut B,
        leases: &Leases,
        (index, failed): (usize, &FailedMessage),
        asked: Instant,
    ) -> Result<bool, Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
        H: PageHandler<S, B>,
    {
        let (lease, position, extend_lease) =
            (&leases.leases[index], failed.position, leases.duration);
        if failed.is_of_type(self.topics[index].retired) {
            bus.take_redriven(lease, position, extend_lease)?;
            return Ok(false);
        }
        if let Some(owed) = self.memory.caution.owed(position) {
            return note_parked(
                bus,
                lease,
                extend_lease,
                position,
                &Error::counted(lease, position, owed),
            );
        }
        let delivery = (lease.replay_until, leases.token());
        let result = match self.topics[index].read_one(bus, delivery, position) {
            // After a database was restored, another message can have the position.
            Ok(Some(message)) if failed.is_of_another_than(message.message_id()) => {
                Err(Error::not_there(lease, position))
            }
            Ok(Some(message)) => {
                // A transactional handler begins by locking the consumer's row.
                if H::NEEDS_HEARTBEAT
                    && let Some(late) = leases.answered_late(asked)
                {
                    return Err(late);
                }
                self.handler.handle_redriven(bus, leases, lease, &message)
            }
            Ok(None) => Err(Error::not_there(lease, position)),
            Err(error)
                if self.settings.unknown.passes_over(&error)
                    && self.topics[index].selects_type(failed.message_type.as_deref()) =>
            {
                self.skipped += u64::from(bus.take_redriven(lease, position, extend_lease)?);
                return Ok(false);
            }
            Err(error) => Err(error),
        };
        match result {
            // A newer program can handle it.
            Err(error) if error.is_unknown_message() => {
                observe::waits_before_unknown(lease, position, &storable_text(&error));
                self.memory.unknown_redriven.insert((index, position));
                Ok(false)
            }
            Err(error) if error.failing_message().is_some() => {
                note_parked(bus, lease, extend_lease, position, &error)
            }
            Err(error) if error.is_interruption() => {
                self.settle_interrupted_redriven(bus, lease, position, error)
            }
            result => result,
        }
    }

    /// Leaves the message redriven, unless its interruptions have lasted for long.
    fn settle_interrupted_redriven<B>(
        &mut self,
        bus: &mut B,
        lease: &Lease,
        position: Position,
        error: Error,
    ) -> Result<bool, Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        match self.verdict(Interruption::alone(position)) {
            Verdict::TryAgain => Err(error),
            // The failure cannot be noted without a connection. The next connection notes it first.
            Verdict::Counts if error.is_disconnected() => {
                self.memory.caution.owe(position, error.failure().into());
                Err(error)
            }
            Verdict::Counts => {
                let counted = Error::counted(lease, position, error.into());
                let extend_lease = self.settings.lease_duration;
                note_parked(bus, lease, extend_lease, position, &counted)
            }
        }
    }
}

/// Notes that a redriven message failed again, which parks it.
fn note_parked<B>(
    bus: &mut B,
    lease: &Lease,
    extend_lease: Duration,
    position: Position,
    error: &Error,
) -> Result<bool, Error>
where
    B: MessageConsumerState + ?Sized,
{
    let failure = NewFailure {
        position,
        // Both are already noted.
        message_id: None,
        message_type: None,
        error: &storable_text(error),
        extend_lease,
        state: FailureState::Parked,
    };
    record_failure(bus, lease, &failure)?;
    Ok(false)
}
