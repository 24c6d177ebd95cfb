//! Takes the leases of all segments, for changes of the whole consumer.

use std::sync::Arc;

use crate::consume::consumer::MessageConsumer;
use crate::consume::leases::Leases;
use crate::consume::segments::look::common_division;
use crate::error::Error;
use crate::message::topic::EventSet;
use crate::store::consumer_state::MessageConsumerState;
use crate::store::lease::LeaseRequest;
use crate::store::segment::Division;
use crate::store::source::MessageSource;

impl<S: EventSet, H> MessageConsumer<S, H> {
    /// Takes the leases of all segments on all topics, or none. If the consumer is not divided yet,
    /// takes its own leases: its segments will begin at its cursor.
    ///
    /// While all these leases are held, the segments cannot be replaced. So a change of their number can
    /// be in progress: it goes on afterwards.
    pub(in crate::consume) fn hold_segments<B>(&self, bus: &mut B) -> Result<Leases, Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
    {
        let Some(division) = self.present_division(bus)? else {
            return self.hold_whole(bus);
        };
        let mut held = Leases::of(
            &self.name,
            self.settings.lease_duration,
            Arc::clone(&self.signals),
        );
        let taken = self.take_segments(bus, division, &mut held).and_then(|()| {
            // The segments may have been replaced before all leases were taken.
            match self.present_division(bus)? {
                Some(now) if now.is_same_as(division) => Ok(()),
                _ => Err(self.is_changing("their number has just changed")),
            }
        });
        match taken {
            Ok(()) => Ok(held),
            Err(error) => Err(match held.release(bus) {
                Ok(()) => error,
                Err(second) => error.followed_by(second),
            }),
        }
    }

    fn take_segments<B>(
        &self,
        bus: &mut B,
        division: Division,
        held: &mut Leases,
    ) -> Result<(), Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        for reader in &self.topics {
            for segment in division.all(&self.name) {
                let request = LeaseRequest {
                    segment: Some(&segment),
                    ..self.request(reader.topic)
                };
                let lease = bus.acquire(&request);
                let lease = lease.map_err(|error| error.of_segment(Some(segment.number)))?;
                held.leases.push(lease);
            }
        }
        Ok(())
    }

    /// Returns how the consumer is divided; `None` if it is not divided on any topic. Fails while that is
    /// not the same on all topics.
    fn present_division<B>(&self, bus: &mut B) -> Result<Option<Division>, Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        let rows = self.whole_rows(bus)?;
        match common_division(&rows) {
            Some(division) => Ok(Some(division)),
            None if rows.iter().flatten().all(|row| row.division.is_none()) => Ok(None),
            None => Err(self.is_changing("they are not the same on all topics yet")),
        }
    }

    fn is_changing(&self, problem: &str) -> Error {
        let problem = format!(
            "{problem}; nothing was changed; let the consumer run until all its topics have the same \
             segments, and try again"
        );
        Error::transient("taking the leases of all segments", problem).of_consumer(&self.name)
    }
}
