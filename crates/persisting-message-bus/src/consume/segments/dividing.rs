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
        self.check_divisible(bus, wanted)?;
        let rows = self.whole_rows(bus)?;
        let known = self.known_division(&rows, wanted)?;
        let is_undivided = |row: &Option<ConsumerRow>| division_of(row).is_none();
        let topics = rows.iter().enumerate().filter(|(_, row)| is_undivided(row));
        let undivided: Vec<_> = topics.map(|(topic, _)| topic).collect();
        if undivided.is_empty() {
            return Ok(());
        }
        let mut leases = Vec::new();
        let division = known.unwrap_or(wanted);
        match self.divide_under(bus, &undivided, wanted, &mut leases) {
            Ok(true) => {
                info!(
                    messaging.consumer.group.name = self.name,
                    segments = division.segments,
                    by = %division.by,
                    "consumer divided into segments"
                );
                Ok(())
            }
            divided => {
                let released = leases.iter().map(|lease| bus.release(lease));
                match (divided, released.fold(Ok(()), Result::and)) {
                    (Err(error), Err(second)) => Err(error.followed_by(second)),
                    (divided, released) => released.and(divided.map(drop)),
                }
            }
        }
    }

    /// Fails if the source cannot be read in parts, because each segment would then handle all messages, or
    /// if the consumer has a hook.
    pub(super) fn check_divisible<B>(&self, bus: &mut B, wanted: Division) -> Result<(), Error>
    where
        B: MessageSource + ?Sized,
        H: PageHandler<S, B>,
    {
        bus.check_part(wanted.segment(&self.name, 0).part)?;
        self.check_no_hook::<B>()
    }

    /// Fails if the consumer has a hook. Each segment leaves the start at another time, so a hook that
    /// empties a table would remove what other segments have written.
    pub(crate) fn check_no_hook<B>(&self) -> Result<(), Error>
    where
        B: ?Sized,
        H: PageHandler<S, B>,
    {
        if self.handler.has_hook() {
            let problem = "a consumer that is divided into segments has no hook before its first message: \
                remove `before_replay`";
            return Err(Error::permanent("dividing the consumer", problem));
        }
        Ok(())
    }

    /// Returns how the consumer is divided on a topic, which must be in the way that is wanted.
    fn known_division(
        &self,
        rows: &[Option<ConsumerRow>],
        wanted: Division,
    ) -> Result<Option<Division>, Error> {
        let known = rows.iter().find_map(division_of);
        match known {
            Some(known) => self.check_kind(known.by, wanted.by).map(|()| Some(known)),
            None => Ok(None),
        }
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

    /// Takes the leases on these topics, and divides the consumer on all of them or on none. Otherwise
    /// a process that ends between two topics would leave a topic that looks added. Returns `false` if
    /// another process was faster.
    fn divide_under<B>(
        &mut self,
        bus: &mut B,
        undivided: &[usize],
        wanted: Division,
        leases: &mut Vec<Lease>,
    ) -> Result<bool, Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
    {
        for topic in undivided {
            leases.push(bus.acquire(&self.request(self.topics[*topic].topic))?);
        }
        // Another process may have divided it before the leases were taken.
        let rows = self.whole_rows(bus)?;
        let known = self.known_division(&rows, wanted)?;
        if undivided
            .iter()
            .any(|topic| division_of(&rows[*topic]).is_some())
        {
            return Ok(false);
        }
        for (topic, lease) in undivided.iter().zip(&mut *leases) {
            let row = rows[*topic].as_ref();
            self.check_final(row, &lease.topic)?;
            self.find_start(bus, *topic, (row, known.is_some()), lease)?;
        }
        // A change of the number of segments that is in progress includes a topic that is new.
        bus.divide(leases, known.unwrap_or(wanted))?;
        Ok(true)
    }

    /// Fails if a message is not attempted again. Its failure belongs to no segment, so a segment would
    /// attempt the message again.
    fn check_final(&self, row: Option<&ConsumerRow>, topic: &str) -> Result<(), Error> {
        let Some(position) = row.and_then(|row| row.first_final) else {
            return Ok(());
        };
        let problem = format!(
            "the message at position {position} is not attempted again, because some of its effects may \
             be committed; run the consumer without `ParallelConsumer` until its failure policy was \
             applied to this message"
        );
        let doing = format!("dividing the consumer on topic \"{topic}\"");
        Err(Error::permanent(doing, problem).of_consumer(&self.name))
    }

    /// Sets the place of the lease to where the consumer starts, if it has never run.
    fn find_start<B>(
        &mut self,
        bus: &mut B,
        topic: usize,
        (row, is_added): (Option<&ConsumerRow>, bool),
        lease: &mut Lease,
    ) -> Result<(), Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
    {
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
            let place = place_for(bus, &mut self.topics[topic], start_at)?;
            (lease.cursor, lease.anchor) = (place.cursor, place.anchor);
        }
        Ok(())
    }
}

fn division_of(row: &Option<ConsumerRow>) -> Option<Division> {
    row.as_ref().and_then(|row| row.division)
}
