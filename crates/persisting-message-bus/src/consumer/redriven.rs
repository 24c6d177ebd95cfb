//! Messages that were parked, and are to be handled again.

use std::time::Instant;

use super::MessageConsumer;
use super::due::Due;
use super::failing::text_of;
use super::handler::{HandlePages, Leases};
use crate::{
    Error, EventSet, FailedMessage, FailedPage, Failure, FailureState, MessageConsumerState,
    MessageSource, Position, StoredConsumer, observe,
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
    ) -> Result<Option<usize>, Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
        H: HandlePages<S, B>,
    {
        let redrives =
            |stored: &Option<StoredConsumer>| stored.as_ref().map_or(0, |it| it.redrives);
        let redrives: Vec<_> = stored.iter().map(redrives).collect();
        let known = self.topics.iter().map(|reader| reader.redrives);
        if known.eq(redrives.iter().copied()) {
            return Ok(None);
        }
        // Without the lease: most of the time, somebody else has handled them.
        if self.redriven(bus, 1)?.is_empty() {
            for (reader, redrives) in self.topics.iter_mut().zip(redrives) {
                reader.redrives = redrives;
            }
            return Ok(None);
        }
        let begun = Instant::now();
        let handled = self.under_leases(bus, |consumer, bus, leases| {
            let _span = observe::page(&consumer.name).entered();
            let page = consumer.redriven(bus, consumer.settings.page_size)?;
            consumer.handle_redriven_page(bus, leases, &page)
        })?;
        observe::page_handled(&self.name, handled, begun);
        Ok(Some(handled))
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
        leases: &Leases,
        page: &[Redriven],
    ) -> Result<usize, Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
        H: HandlePages<S, B>,
    {
        let (mut handled, mut due) = (0, Due::after(leases.duration / 3));
        for (index, failed) in page {
            if leases.is_stopping() {
                break;
            }
            if due.has_come() {
                leases.renew(bus)?;
                due = Due::after(leases.duration / 3);
            }
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
        let (lease, position) = (&leases.leases[index], failed.position);
        let result = match self.topics[index].read_one(bus, lease, position) {
            Ok(Some(message)) => self.handler.handle_redriven(bus, leases, lease, &message),
            Ok(None) => Err(Error::not_there(lease, position)),
            Err(error) if self.settings.unknown.passes_over(&error) => {
                self.skipped += u64::from(bus.take_redriven(lease, position)?);
                return Ok(false);
            }
            Err(error) => Err(error),
        };
        let error = match result {
            Err(error) if error.culprit().is_some() => error,
            result => return result,
        };
        let failure = Failure {
            position,
            message_id: failed.message_id,
            message_type: failed.message_type.as_deref(),
            error: &text_of(&error),
            hold: leases.duration,
            state: FailureState::Parked,
        };
        match bus.record_failure(lease, &failure) {
            Ok(attempts) => observe::failed(lease, position, attempts, failure.error),
            Err(second) => return Err(second.followed_by(error)),
        }
        Ok(false)
    }
}
