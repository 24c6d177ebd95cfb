//! Messages that were parked, and are to be handled again.

use std::time::{Duration, Instant};

use super::MessageConsumer;
use super::caution::{Interruption, Verdict};
use super::failing::text_of;
use super::handler::HandlePages;
use super::leases::Leases;
use super::run::Suspicion;
use crate::{
    Error, EventSet, FailedMessage, FailedPage, Failure, FailureState, Lease, MessageConsumerState,
    MessageSource, Position, StoredConsumer, Work, observe,
};

/// A redriven message, and the index of its topic.
type Redriven = (usize, FailedMessage);

impl<S: EventSet, H> MessageConsumer<S, H> {
    /// Handles what was redriven, at most a page, lowest position first; returns how many messages that
    /// were, and `None` where there are none. What fails is parked again.
    pub(super) fn handle_redriven<B>(
        &mut self,
        bus: &mut B,
        stored: &[Option<StoredConsumer>],
        suspicion: Suspicion,
    ) -> Result<Option<usize>, Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
        H: HandlePages<S, B>,
    {
        let mut known = stored.iter().flatten();
        if known.all(|stored| stored.first_redriven.is_none()) {
            return Ok(None);
        }
        let begun = Instant::now();
        let handled = self.under_leases(bus, suspicion, |consumer, bus, leases, pass| {
            let _span = observe::page(&consumer.name).entered();
            consumer.settle_left_redriven(bus, leases)?;
            let page = consumer.redriven(bus, consumer.settings.page_size)?;
            consumer.handle_redriven_page(bus, leases, &page, pass.is_alone())
        })?;
        observe::page_handled(&self.name, handled, begun);
        Ok(Some(handled))
    }

    /// A redriven message that ended its process while nothing else was handled in it has failed again.
    fn settle_left_redriven<B>(&mut self, bus: &mut B, leases: &mut Leases) -> Result<(), Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        for lease in &mut leases.leases {
            let Some((position, left)) = Leases::left_redriven(lease) else {
                continue;
            };
            lease.left = None;
            let hold = leases.duration;
            if left.alone && bus.is_redriven(lease, position, hold)? {
                let error = Error::died_at(lease, position);
                note_parked(bus, lease, hold, position, &error)?;
            }
        }
        Ok(())
    }

    /// The first ones on all topics.
    fn redriven<B>(&self, bus: &mut B, limit: usize) -> Result<Vec<Redriven>, Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        let mut redriven = Vec::new();
        for (index, reader) in self.topics.iter().enumerate() {
            let page = bus.failed_messages(&FailedPage {
                consumer: &self.name,
                topic: reader.topic,
                state: FailureState::Redriven,
                after: Position::START,
                limit,
            })?;
            redriven.extend(page.into_iter().map(|failed| (index, failed)));
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
        H: HandlePages<S, B>,
    {
        let mut handled = 0;
        for (index, failed) in page {
            if leases.is_stopping() {
                break;
            }
            // It prolongs the leases, too.
            leases.hand_out(bus, Work::redriven(failed.position).alone(alone))?;
            handled += usize::from(self.handle_one(bus, leases, *index, failed)?);
        }
        Ok(handled)
    }

    /// Handles one, and says whether that went well.
    fn handle_one<B>(
        &mut self,
        bus: &mut B,
        leases: &Leases,
        index: usize,
        failed: &FailedMessage,
    ) -> Result<bool, Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
        H: HandlePages<S, B>,
    {
        let (lease, position, hold) = (&leases.leases[index], failed.position, leases.duration);
        if let Some(owed) = self.caution.owed(position) {
            return note_parked(
                bus,
                lease,
                hold,
                position,
                &Error::counted(lease, position, owed),
            );
        }
        let result = match self.topics[index].read_one(bus, lease, position) {
            Ok(Some(message)) => self.handler.handle_redriven(bus, leases, lease, &message),
            Ok(None) => Err(Error::not_there(lease, position)),
            Err(error) if self.settings.unknown.passes_over(&error) => {
                self.skipped += u64::from(bus.take_redriven(lease, position, hold)?);
                return Ok(false);
            }
            Err(error) => Err(error),
        };
        match result {
            Err(error) if error.culprit().is_some() => {
                note_parked(bus, lease, hold, position, &error)
            }
            Err(error) if error.is_interruption() => {
                self.settle_interrupted_redriven(bus, lease, position, error)
            }
            result => result,
        }
    }

    /// It stays redriven, unless that has gone on for long.
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
        let at = Interruption {
            first: position,
            last: position,
            tried: 1,
            known: None,
        };
        let retry = self.settings.retry.unwrap_or_default();
        match self
            .caution
            .interrupted(at, retry.patience(), Instant::now())
        {
            Verdict::TryAgain => Err(error),
            // It cannot be noted without a connection: that comes first on the next one.
            Verdict::Counts if error.is_disconnected() => {
                self.caution.owe(position, error.failure().into());
                Err(error)
            }
            Verdict::Counts => {
                let counted = Error::counted(lease, position, error.into());
                let hold = self.settings.lease_duration;
                note_parked(bus, lease, hold, position, &counted)
            }
        }
    }
}

/// Notes that a redriven message has failed again: it is parked.
fn note_parked<B>(
    bus: &mut B,
    lease: &Lease,
    hold: Duration,
    position: Position,
    error: &Error,
) -> Result<bool, Error>
where
    B: MessageConsumerState + ?Sized,
{
    let failure = Failure {
        position,
        // They are noted already.
        message_id: None,
        message_type: None,
        error: &text_of(error),
        hold,
        state: FailureState::Parked,
    };
    let attempts = bus.record_failure(lease, &failure)?;
    observe::failed(lease, position, attempts, failure.error);
    Ok(false)
}
