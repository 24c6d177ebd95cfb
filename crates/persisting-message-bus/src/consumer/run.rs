//! Pages, from the lease to the cursor.

use std::time::{Duration, Instant};

use tracing::warn;

use super::MessageConsumer;
use super::handler::HandlePages;
use super::leases::{Leases, Then};
use super::page::Page;
use super::unstored::Unstored;
use crate::{
    Error, EventSet, LeaseRequest, MessageConsumerState, MessageSource, Position, StoredConsumer,
    Work, WorkMessages, name, observe,
};

/// How much is handled under one lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    Page,
    Pages,
}

fn first_final(stored: &Option<StoredConsumer>) -> Option<Position> {
    stored.as_ref()?.first_final
}

/// Whether messages have to be tried one at a time, with nobody else at work in the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Suspicion {
    None,
    /// Another holder ended without a word while it handled a page.
    Page,
    /// It handled a redriven message; or some of the page is still to be tried.
    Other,
}

impl Extent {
    /// What is looked at in front of the pages only, such as a pause, waits for no longer than this, and
    /// for the page that is at hand then.
    const LONGEST: Duration = Duration::from_millis(200);

    fn goes_on(self, begun: Instant) -> bool {
        self == Self::Pages && begun.elapsed() < Self::LONGEST
    }
}

impl<S: EventSet, H> MessageConsumer<S, H> {
    /// Handles the next page of messages and returns how many were handled: zero when there are no
    /// new ones.
    ///
    /// When there are new ones it takes the lease, and gives it back before it returns; when there
    /// are none, or the consumer is paused, it only reads. Messages of several topics come in the order
    /// of their positions. Messages that were redriven come first, as a page of their own.
    ///
    /// A message that fails stays in front of the consumer until it has failed as often as
    /// [`retry`](Self::retry) says, and is then parked or passed over if that says so.
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
        let handled = self.handle(bus, Extent::Page);
        let handled = handled.map_err(|error| error.of_consumer(&self.name));
        handled.map(Option::unwrap_or_default)
    }

    /// Handles all new messages, page by page, and returns how many were handled.
    ///
    /// It is faster than one page at a time, as it takes the lease, and looks how far the topic can be
    /// read, not for each page but a few times a second.
    ///
    /// # Errors
    ///
    /// As [`handle_new_messages`](Self::handle_new_messages). The pages before are handled.
    pub fn catch_up<B>(&mut self, bus: &mut B) -> Result<usize, Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
        H: HandlePages<S, B>,
    {
        let mut all = 0;
        while let Some(handled) = self.handle_pages_if_any(bus)? {
            all += handled;
        }
        Ok(all)
    }

    /// Handles pages for a fraction of a second; `None` when it has looked, and had nothing to do.
    pub(crate) fn handle_pages_if_any<B>(&mut self, bus: &mut B) -> Result<Option<usize>, Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
        H: HandlePages<S, B>,
    {
        self.handle(bus, Extent::Pages)
            .map_err(|error| error.of_consumer(&self.name))
    }

    fn handle<B>(&mut self, bus: &mut B, extent: Extent) -> Result<Option<usize>, Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
        H: HandlePages<S, B>,
    {
        name::validate("consumer", &self.name)?;
        self.store_unstored(bus)?;
        loop {
            let heads = self.heads(bus)?;
            let stored = self.stored(bus)?;
            self.give_turn_back(&stored);
            self.check_holders(&stored)?;
            let mut known = stored.iter().flatten();
            if known.any(|stored| stored.paused_at.is_some()) {
                return Ok(None);
            }
            let suspicion = self.suspicion(&stored);
            // What another holder left is settled first, where it was a page.
            let redriven = match suspicion {
                Suspicion::Page => None,
                _ => self.handle_redriven(bus, &stored, suspicion)?,
            };
            if redriven > Some(0) || self.is_caught_up(bus, &stored, &heads)? {
                return Ok(redriven);
            }
            let finals: Vec<_> = stored.iter().map(first_final).collect();
            let (handled, caught_up) =
                self.handle_pages(bus, &heads, extent, suspicion, &finals)?;
            if handled > 0 || caught_up || self.signals.is_stopping() {
                return Ok(Some(handled));
            }
        }
    }

    /// What another holder left, as the consumer's rows say before their lease is taken.
    fn suspicion(&self, stored: &[Option<StoredConsumer>]) -> Suspicion {
        let of_others = |stored: &&StoredConsumer| stored.lease_owner.as_ref() != Some(&self.owner);
        let mut suspicion = Suspicion::None;
        for stored in stored.iter().flatten() {
            let left = stored.work.filter(|_| of_others(&stored));
            match left.map(|left| left.messages) {
                Some(WorkMessages::Page) => return Suspicion::Page,
                Some(WorkMessages::Redriven(_)) => suspicion = Suspicion::Other,
                None if stored.suspect_until > stored.cursor => suspicion = Suspicion::Other,
                None => {}
            }
        }
        suspicion
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

    /// What the state knows of the consumer on each topic. Without the lease: a consumer that has
    /// nothing to do writes nothing.
    fn stored<B>(&self, bus: &mut B) -> Result<Vec<Option<StoredConsumer>>, Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        let topics = self.topics.iter();
        topics
            .map(|reader| bus.stored_consumer(&self.name, reader.topic))
            .collect()
    }

    /// Somebody else at work is no reason to write, or to wait.
    fn check_holders(&self, stored: &[Option<StoredConsumer>]) -> Result<(), Error> {
        for (reader, stored) in self.topics.iter().zip(stored) {
            if let Some(stored) = stored
                && stored
                    .lease_owner
                    .as_ref()
                    .is_some_and(|owner| *owner != self.owner)
                && stored.lease_expires_at > Some(stored.now)
            {
                let request = self.request(reader.topic);
                let owner = stored.lease_owner.clone();
                return Err(Error::locked(&request, owner, stored.lease_expires_at));
            }
        }
        Ok(())
    }

    pub(super) fn request(&self, topic: &'static str) -> LeaseRequest<'_> {
        LeaseRequest {
            consumer: &self.name,
            topic,
            owner: &self.owner,
            duration: self.settings.lease_duration,
        }
    }

    fn is_caught_up<B>(
        &self,
        bus: &mut B,
        stored: &[Option<StoredConsumer>],
        heads: &[Position],
    ) -> Result<bool, Error>
    where
        B: MessageSource + ?Sized,
    {
        for ((reader, stored), head) in self.topics.iter().zip(stored).zip(heads) {
            let cursor = stored.as_ref().and_then(|stored| stored.cursor);
            let cursor = cursor.unwrap_or_default();
            reader.check_cursor(bus, cursor, *head)?;
            if cursor < *head {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Handles pages under one lease, and returns how many messages that were and whether they were the
    /// last ones for now.
    fn handle_pages<B>(
        &mut self,
        bus: &mut B,
        heads: &[Position],
        extent: Extent,
        suspicion: Suspicion,
        finals: &[Option<Position>],
    ) -> Result<(usize, bool), Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
        H: HandlePages<S, B>,
    {
        self.under_leases(bus, suspicion, |consumer, bus, leases, pass| {
            let begun = Instant::now();
            let mut handled = 0;
            loop {
                let mut page = consumer.next_page(bus, leases, heads)?;
                if let Some(noted) = leases.first_final(finals, &mut page) {
                    consumer.give_up_final(bus, leases, noted)?;
                    return Ok((handled, false));
                }
                let one_at_a_time = leases.are_suspect();
                if !page.caught_up && !one_at_a_time && extent.goes_on(begun) {
                    page.then = Then::Hold;
                }
                let alone = one_at_a_time && pass.is_alone();
                let (of_page, goes_on) = consumer.handle_page(bus, leases, &mut page, alone)?;
                handled += of_page;
                if !goes_on || page.then == Then::Release {
                    return Ok((handled, goes_on && page.caught_up));
                }
                // A slow page may have taken all the time, and the lease with it.
                if !extent.goes_on(begun) {
                    return Ok((handled, false));
                }
            }
        })
    }

    /// Reads the page after the cursors. Where another holder ended without a word, all of the page that it
    /// had is suspect.
    fn next_page<B>(
        &mut self,
        bus: &mut B,
        leases: &mut Leases,
        heads: &[Position],
    ) -> Result<Page<S>, Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
        H: HandlePages<S, B>,
    {
        let usual = self.settings.page_size;
        if let Some(left) = leases.left_page() {
            let all = self.read(bus, leases, heads, usual)?;
            leases.suspect(&all);
            let page = self.read(bus, leases, heads, 1)?;
            self.warn_of_what_was_left(leases, left);
            // At the start, it may have been the hook.
            let handed_out = leases.has_left_start() || !self.handler.has_hook();
            if left.alone
                && handed_out
                && let Some(message) = page.messages.first()
            {
                let died = Error::died(message);
                self.settle(bus, leases, died)?;
                // It was given up, and the consumer goes on after it.
                return Ok(Page::nothing(&page));
            }
            return Ok(page);
        }
        let size = if leases.are_suspect() {
            1
        } else {
            self.caution.page_size(leases.cursor(), usual)
        };
        self.read(bus, leases, heads, size)
    }

    /// Handles a page, and returns how many messages that were and whether there may be another one under
    /// the same lease.
    fn handle_page<B>(
        &mut self,
        bus: &mut B,
        leases: &mut Leases,
        page: &mut Page<S>,
        alone: bool,
    ) -> Result<(usize, bool), Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
        H: HandlePages<S, B>,
    {
        let _span = observe::page(&self.name).entered();
        let begun = Instant::now();
        if let Some(message) = page.messages.first()
            && let Some(owed) = self.caution.owed(message.position())
        {
            let failed = Error::handler(message, owed);
            return self.settle_failure(bus, leases, page, 0, failed);
        }
        if !page.messages.is_empty() {
            leases.hand_out(bus, Work::PAGE.alone(alone))?;
        }
        let outcome = self.handler.handle_page(bus, leases, page);
        self.skipped += outcome.skipped as u64;
        observe::page_handled(&self.name, outcome.handled, begun);
        let handled = outcome.handled;
        if let Some(final_up_to) = outcome.unstored {
            // The leases are kept until their cursors are stored.
            self.unstored = Some(Unstored::of(leases, page, final_up_to));
            leases.released.set(true);
        }
        let Some(error) = outcome.failure else {
            let goes_on = page.caught_up || !page.stands_still();
            leases.advance(page, handled);
            self.caution.passed(leases.cursor());
            return Ok((handled, goes_on && !self.signals.is_stopping()));
        };
        if error.is_hook_interruption() {
            return Err(self.settle_hook(leases, error));
        }
        if let Some(attempts) = outcome.noted {
            return self.settle_final(bus, leases, page, handled, error, attempts);
        }
        if let Some(tried) = outcome.interrupted {
            return self.settle_interruption(bus, leases, page, handled, tried, error);
        }
        self.settle_failure(bus, leases, page, handled, error)
    }

    /// Says what became of the messages that another holder had handed out.
    fn warn_of_what_was_left(&self, leases: &Leases, left: Work) {
        warn!(
            messaging.consumer.group.name = self.name,
            cursor = leases.cursor().get(),
            committed = left.begun,
            "another holder of the lease ended without a word while it handled messages after the cursor: \
             they are handled again, one at a time. If committed is true, its transaction was committed \
             without the cursor, by a statement of the handler, so that effects are repeated"
        );
    }

    fn read<B>(
        &self,
        bus: &mut B,
        leases: &Leases,
        heads: &[Position],
        size: usize,
    ) -> Result<Page<S>, Error>
    where
        B: MessageSource + ?Sized,
    {
        let topics = self.topics.iter().zip(&leases.leases).zip(heads);
        let read = topics.map(|((reader, lease), head)| {
            let page = reader.read(bus, lease, *head, size, self.settings.unknown)?;
            Ok((reader.topic, lease.cursor, page))
        });
        let read = read.collect::<Result<_, Error>>()?;
        Ok(Page::merge(read, size))
    }
}
