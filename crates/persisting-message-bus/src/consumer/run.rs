//! One page, from the lease to the cursor.

use std::sync::Arc;

use super::MessageConsumer;
use super::handler::{HandlePages, Leases, PageOutcome};
use super::page::Page;
use crate::{Error, EventSet, LeaseRequest, MessageConsumerState, MessageSource, Position, name};

impl<S: EventSet, H> MessageConsumer<S, H> {
    /// Handles the next page of messages and returns how many were handled: zero when there are no
    /// new ones.
    ///
    /// When there are new ones it takes the lease, and gives it back before it returns; when there
    /// are none it only reads. Messages of several topics come in the order of their positions.
    ///
    /// # Errors
    ///
    /// - [`Error::is_locked`]: another holder of the same name is at work.
    /// - [`Error::is_handler_failure`]: the handler failed. The messages before are handled and
    ///   the cursor stands behind them.
    /// - [`Error::is_bad_message`]: a message has an unknown type or does not decode. Likewise.
    /// - [`Error::is_lease_lost`]: handling took longer than the lease, and another holder came.
    ///   What was not stored before will be handled again.
    /// - [`Error::is_broken_cursor`]: the stored cursor cannot be right. Nothing was handled.
    /// - When the bus cannot be read or written.
    pub fn handle_new_messages<B>(&mut self, bus: &mut B) -> Result<usize, Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
        H: HandlePages<S, B>,
    {
        self.handle_if_any(bus).map(Option::unwrap_or_default)
    }

    /// Likewise; `None` when it has looked, and had nothing to do.
    pub(crate) fn handle_if_any<B>(&mut self, bus: &mut B) -> Result<Option<usize>, Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
        H: HandlePages<S, B>,
    {
        self.handle(bus)
            .map_err(|error| error.of_consumer(&self.name))
    }

    fn handle<B>(&mut self, bus: &mut B) -> Result<Option<usize>, Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
        H: HandlePages<S, B>,
    {
        name::validate("consumer", &self.name)?;
        loop {
            let heads = self.heads(bus)?;
            if self.is_caught_up(bus, &heads)? {
                return Ok(None);
            }
            let (handled, caught_up) = self.handle_page(bus, &heads)?;
            if handled > 0 || caught_up {
                return Ok(Some(handled));
            }
        }
    }

    /// Up to where each topic is read: messages of several topics come in one order, so that the
    /// topic that can be read the least far holds back the others.
    fn heads<B>(&mut self, bus: &mut B) -> Result<Vec<Position>, Error>
    where
        B: MessageSource + ?Sized,
    {
        let horizons = self.topics.iter_mut().map(|reader| reader.horizon(bus));
        let horizon = horizons.reduce(|one, other| Ok(one?.min(other?)));
        let horizon = horizon.unwrap_or(Ok(Position::START))?;
        let heads = self
            .topics
            .iter()
            .map(|reader| bus.head(reader.topic, horizon));
        heads.collect()
    }

    /// Without the lease: a consumer that has nothing to do writes nothing.
    fn is_caught_up<B>(&self, bus: &mut B, heads: &[Position]) -> Result<bool, Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
    {
        for (reader, head) in self.topics.iter().zip(heads) {
            let status = bus.consumer_status(&self.name, reader.topic)?;
            let cursor = status.and_then(|status| status.cursor).unwrap_or_default();
            reader.check_cursor(bus, cursor, *head)?;
            if cursor < *head {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Handles a page, and returns how many messages that were and whether it was the last one for
    /// now.
    fn handle_page<B>(&mut self, bus: &mut B, heads: &[Position]) -> Result<(usize, bool), Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
        H: HandlePages<S, B>,
    {
        let leases = self.acquire(bus)?;
        if H::NEEDS_HEARTBEAT {
            self.held.set(&leases.leases);
        }
        let mut outcome = PageOutcome::default();
        let mut caught_up = true;
        match self.read(bus, &leases, heads) {
            Ok(mut page) => {
                caught_up = page.caught_up;
                outcome = self.handler.handle_page(bus, &leases, &mut page);
                self.skipped += outcome.skipped as u64;
            }
            Err(error) => outcome.add_failure(error),
        }
        self.held.clear();
        if !outcome.leases_released
            && let Err(error) = leases.release(bus)
        {
            outcome.add_failure(error);
        }
        match outcome.failure {
            None => Ok((outcome.handled, caught_up)),
            Some(error) => Err(error),
        }
    }

    fn read<B>(&self, bus: &mut B, leases: &Leases, heads: &[Position]) -> Result<Page<S>, Error>
    where
        B: MessageSource + ?Sized,
    {
        let topics = self.topics.iter().zip(&leases.leases).zip(heads);
        let read = topics.map(|((reader, lease), head)| {
            let page = reader.read(bus, lease.cursor, *head, &self.settings)?;
            Ok((reader.topic, lease.cursor, page))
        });
        let read = read.collect::<Result<_, Error>>()?;
        Ok(Page::merge(read, self.settings.page_size))
    }

    /// Takes the leases on all topics, or none.
    pub(super) fn acquire<B>(&self, bus: &mut B) -> Result<Leases, Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        let mut acquired = Leases {
            leases: Vec::with_capacity(self.topics.len()),
            duration: self.settings.lease_duration,
            signals: Arc::clone(&self.signals),
        };
        for reader in &self.topics {
            let lease = bus.acquire(&LeaseRequest {
                consumer: &self.name,
                topic: reader.topic,
                owner: &self.owner,
                duration: self.settings.lease_duration,
            });
            match lease {
                Ok(lease) => acquired.leases.push(lease),
                Err(error) => {
                    return Err(match acquired.release(bus) {
                        Ok(()) => error,
                        Err(second) => error.followed_by(second),
                    });
                }
            }
        }
        Ok(acquired)
    }
}
