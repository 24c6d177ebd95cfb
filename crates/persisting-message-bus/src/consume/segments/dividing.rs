//! Divides a consumer into segments when it first runs.

use tracing::info;

use crate::consume::consumer::MessageConsumer;
use crate::consume::handler::PageHandler;
use crate::consume::on_added::OnAdded;
use crate::consume::reset::place_for;
use crate::consume::start_at::StartAt;
use crate::error::Error;
use crate::message::name;
use crate::message::topic::EventSet;
use crate::store::consumer_state::{ConsumerRow, MessageConsumerState};
use crate::store::lease::Lease;
use crate::store::segment::{DividedBy, Division};
use crate::store::source::MessageSource;

impl<S: EventSet, H> MessageConsumer<S, H> {
    /// Divides the consumer on the topics on which it is not divided, and checks how it is divided on
    /// the others. `wanted` says into how many segments, if it is divided on none.
    ///
    /// The segments begin at the consumer's cursor. Its lease is taken for that, so a consumer that is
    /// not divided has ended its page before.
    pub(crate) fn divide<B>(&mut self, bus: &mut B, wanted: Division) -> Result<(), Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
        H: PageHandler<S, B>,
    {
        name::validate("consumer", &self.name)?;
        self.source = bus.source_name();
        bus.check_part(wanted.segment(&self.name, 0).part)?;
        if self.handler.has_hook() {
            let problem = "a consumer that is divided into segments has no hook before its first message: \
                remove `before_replay`";
            return Err(Error::permanent("dividing the consumer", problem));
        }
        let rows = self.whole_rows(bus)?;
        let known = rows.iter().flatten().find_map(|row| row.division);
        if let Some(known) = known {
            self.check_kind(known.by, wanted.by)?;
        }
        // A change of the number of segments that is in progress includes a topic that is new.
        let division = known.unwrap_or(wanted);
        for (index, row) in rows.iter().enumerate() {
            match row.as_ref().and_then(|row| row.division) {
                Some(_) => {}
                None => {
                    let is_added = known.is_some();
                    self.divide_topic(bus, index, (row.as_ref(), is_added), division)?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn check_kind(&self, known: DividedBy, wanted: DividedBy) -> Result<(), Error> {
        if known == wanted {
            return Ok(());
        }
        let problem = format!(
            "the consumer is divided by {known}, and this program divides it by {wanted}, so the order \
             of its messages would be lost: use the same, or give one of them another name"
        );
        Err(Error::permanent("dividing the consumer", problem).of_consumer(&self.name))
    }

    fn divide_topic<B>(
        &mut self,
        bus: &mut B,
        index: usize,
        row: (Option<&ConsumerRow>, bool),
        division: Division,
    ) -> Result<(), Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
    {
        let mut lease = bus.acquire(&self.request(self.topics[index].topic))?;
        match self.divide_under(bus, index, row, &mut lease, division) {
            Ok(()) => Ok(()),
            Err(error) => Err(match bus.release(&lease) {
                Ok(()) => error,
                Err(second) => error.followed_by(second),
            }),
        }
    }

    fn divide_under<B>(
        &mut self,
        bus: &mut B,
        index: usize,
        (row, is_added): (Option<&ConsumerRow>, bool),
        lease: &mut Lease,
        division: Division,
    ) -> Result<(), Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
    {
        // Another process may have divided it before the lease was taken.
        let stored = bus.stored_consumer(self.key(&lease.topic))?;
        if stored
            .as_ref()
            .is_some_and(|stored| stored.division.is_some())
        {
            return bus.release(lease);
        }
        // Its failure belongs to no segment, so a segment would attempt the message again.
        if let Some(position) = stored.and_then(|stored| stored.first_final) {
            let problem = format!(
                "the message at position {position} is not attempted again, because some of its effects \
                 may be committed; run the consumer without `ParallelConsumer` until its failure policy \
                 was applied to this message"
            );
            let doing = format!("dividing the consumer on topic \"{}\"", lease.topic);
            return Err(Error::permanent(doing, problem).of_consumer(&self.name));
        }
        let never_ran = row.is_none_or(|row| row.cursor.is_none() && row.cursor_moved_at.is_none());
        let start_at = match (is_added, self.settings.on_added) {
            (true, Some(OnAdded::FromNow)) => Some(StartAt::End),
            (true, _) => None,
            (false, _) => self.settings.start_at,
        };
        if let Some(start_at) = start_at
            && never_ran
            && lease.cursor.is_none()
        {
            let place = place_for(bus, &mut self.topics[index], start_at)?;
            (lease.cursor, lease.anchor) = (place.cursor, place.anchor);
        }
        bus.divide(lease, division)?;
        info!(
            messaging.consumer.group.name = self.name,
            messaging.destination.name = lease.topic,
            segments = division.segments,
            by = %division.by,
            "consumer divided into segments"
        );
        Ok(())
    }
}
