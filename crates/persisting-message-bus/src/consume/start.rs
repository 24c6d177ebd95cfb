//! Where a consumer starts that has never run.

use crate::consume::consumer::MessageConsumer;
use crate::consume::leases::Leases;
use crate::consume::poll::Poll;
use crate::consume::reset::place_for;
use crate::error::Error;
use crate::message::topic::EventSet;
use crate::store::consumer_state::MessageConsumerState;
use crate::store::source::MessageSource;

impl<S: EventSet, H> MessageConsumer<S, H> {
    /// Returns whether a topic on which the consumer never ran must get its first cursor, even if
    /// there are no messages: messages that come later are after that cursor.
    pub(super) fn must_start(&self, poll: &Poll) -> bool {
        let mut topics = 0..self.topics.len();
        // The first cursor of a segment was decided when the consumer was divided.
        self.segment.is_none()
            && self.settings.start_at.is_some()
            && topics.any(|topic| poll.never_ran_on(topic))
    }

    /// Stores the first cursor of a consumer that has never run, if it does not start at the start.
    pub(super) fn start<B>(
        &mut self,
        bus: &mut B,
        leases: &mut Leases,
        poll: &Poll,
    ) -> Result<(), Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
    {
        let Some(start_at) = self.settings.start_at.filter(|_| self.segment.is_none()) else {
            return Ok(());
        };
        for (index, lease) in leases.leases.iter_mut().enumerate() {
            if poll.never_ran_on(index) && lease.cursor.is_none() {
                let place = place_for(bus, &mut self.topics[index], start_at)?;
                self.move_to(bus, lease, place)?;
            }
        }
        Ok(())
    }
}
