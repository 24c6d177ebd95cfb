//! Messages that were parked, and are to be handled again.

use std::time::Instant;

use super::MessageConsumer;
use super::failing::text_of;
use super::handler::{HandlePages, Leases};
use super::topic_reader::TopicReader;
use crate::{
    Error, EventSet, FailedMessage, FailedPage, Failure, FailureState, MessageConsumerState,
    MessageSource, Position, StoredConsumer, observe,
};

/// How many are read at once.
const PAGE: usize = 100;

impl<S: EventSet, H> MessageConsumer<S, H> {
    /// Handles what was redriven since this was last called, and returns how many messages that were;
    /// `None` where nobody redrove anything. What fails is parked again.
    pub(super) fn handle_redriven<B>(
        &mut self,
        bus: &mut B,
        stored: &[Option<StoredConsumer>],
    ) -> Result<Option<usize>, Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
        H: HandlePages<S, B>,
    {
        let announced =
            |stored: &Option<StoredConsumer>| stored.as_ref().map_or(0, |stored| stored.redrives);
        let announced: Vec<_> = stored.iter().map(announced).collect();
        let has_more = |(reader, announced): (&TopicReader, &i64)| reader.redrives != *announced;
        if !self.topics.iter().zip(&announced).any(has_more) {
            return Ok(None);
        }
        let begun = Instant::now();
        let handled = self.under_leases(bus, |consumer, bus, leases| {
            let mut handled = 0;
            for index in 0..consumer.topics.len() {
                handled += consumer.redrive_topic(bus, leases, index)?;
            }
            Ok(handled)
        })?;
        observe::page_handled(&self.name, handled, begun);
        if !self.signals.is_stopping() {
            for (reader, announced) in self.topics.iter_mut().zip(announced) {
                reader.redrives = announced;
            }
        }
        Ok(Some(handled))
    }

    fn redrive_topic<B>(
        &mut self,
        bus: &mut B,
        leases: &Leases,
        index: usize,
    ) -> Result<usize, Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
        H: HandlePages<S, B>,
    {
        let (mut handled, mut after) = (0, Position::START);
        loop {
            let page = bus.failed_messages(&FailedPage {
                consumer: &self.name,
                topic: self.topics[index].topic,
                state: FailureState::Redriven,
                after,
                limit: PAGE,
            })?;
            for failed in &page {
                if leases.is_stopping() {
                    return Ok(handled);
                }
                handled += usize::from(self.redrive_one(bus, leases, index, failed)?);
                after = failed.position;
            }
            if page.len() < PAGE {
                return Ok(handled);
            }
        }
    }

    /// Handles one, and says whether that went well.
    fn redrive_one<B>(
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
        let lease = &leases.leases[index];
        let result = match self.topics[index].read_one(bus, failed.position) {
            Ok(Some(message)) => self.handler.handle_redriven(bus, leases, lease, &message),
            Ok(None) => Err(Error::not_there(lease, failed.position)),
            Err(error) => Err(error),
        };
        let error = match result {
            Err(error) if error.culprit().is_some() => error,
            result => return result,
        };
        let failure = Failure {
            position: failed.position,
            message_id: failed.message_id,
            message_type: failed.message_type.as_deref(),
            error: &text_of(&error),
            state: FailureState::Parked,
        };
        observe::failed(lease, failed.position, &error);
        bus.record_failure(lease, &failure)
            .map(|_| false)
            .map_err(|second| error.followed_by(second))
    }
}
