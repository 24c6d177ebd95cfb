//! One cycle of a consumer, from the lease to the cursor. Start at `run_cycle`.

use std::time::{Duration, Instant};

use crate::consume::consumer::MessageConsumer;
use crate::consume::deadline::Deadline;
use crate::consume::handler::PageHandler;
use crate::consume::leases::{LeaseDisposition, Leases};
use crate::consume::page::Page;
use crate::consume::poll::Poll;
use crate::consume::progress::{Next, Progress};
use crate::consume::reading_ahead::ReadingAhead;
use crate::consume::suspicion::Suspicion;
use crate::consume::unstored::Unstored;
use crate::error::Error;
use crate::message::name;
use crate::message::topic::EventSet;
use crate::observe;
use crate::store::consumer_state::MessageConsumerState;
use crate::store::lease::LeaseRequest;
use crate::store::source::MessageSource;
use crate::store::work::Work;

/// The number of pages that a consumer handles under one lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Batching {
    OnePage,
    /// All pages that begin in the time slice (200 ms by default). The consumer reads the heads and
    /// the pause only before it takes the lease, so a change of them waits for the time slice.
    For(Duration),
}

impl Batching {
    fn goes_on(self, begun: Instant) -> bool {
        match self {
            Self::OnePage => false,
            Self::For(time_slice) => begun.elapsed() < time_slice,
        }
    }
}

impl<S: EventSet, H> MessageConsumer<S, H> {
    /// Handles the next page of messages. Returns the number of handled messages: zero if there are
    /// no new ones.
    ///
    /// If there are new messages, the consumer takes the lease, and releases it before it returns.
    /// If there are none, or the consumer is paused, it only reads. Messages of several topics come
    /// in the order of their positions. Redriven messages come first, as a page of their own.
    ///
    /// If a message fails, the messages before it are handled and the consumer stays before it.
    /// After the attempts that [`retry`](Self::retry) allows, it applies the failure policy.
    ///
    /// # Errors
    ///
    /// - [`Error::is_lease_held`]: another holder of the same name holds the lease.
    /// - [`Error::is_handler_failure`]: the handler failed. The cursor stands before the message.
    /// - [`Error::is_bad_message`]: a message is unknown or does not decode. The same applies. An
    ///   unknown message counts no attempt.
    /// - [`Error::is_lease_lost`]: handling took longer than the lease, and another holder took it.
    ///   Messages after the stored cursor will be handled again.
    /// - [`Error::is_broken_cursor`]: the cursor does not count in this source, for example because
    ///   the database was restored. Nothing was handled.
    /// - [`Error::is_event_set_conflict`]: the cursor was stored by a consumer with another event
    ///   set. Nothing was handled.
    /// - When the bus cannot be read or written.
    pub fn handle_page<B>(&mut self, bus: &mut B) -> Result<usize, Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
        H: PageHandler<S, B>,
    {
        let handled = self.run_cycle(bus, Batching::OnePage);
        let handled = handled.map_err(|error| self.own_error(error));
        handled.map(Option::unwrap_or_default)
    }

    /// Handles all new messages, page by page, and returns the number of handled messages.
    ///
    /// This is faster than one page at a time: the consumer takes the lease and reads the
    /// high-water mark once per time slice (200 ms by default), not once per page. The second
    /// example of [`MessageConsumer`] calls it.
    ///
    /// # Errors
    ///
    /// As [`handle_page`](Self::handle_page). The pages before are handled.
    pub fn handle_new_messages<B>(&mut self, bus: &mut B) -> Result<usize, Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
        H: PageHandler<S, B>,
    {
        let mut all = 0;
        while let Some(handled) = self.handle_pages_if_any(bus)? {
            all += handled;
        }
        Ok(all)
    }

    /// Handles the pages that begin in the time slice (200 ms by default). Returns `None` if there
    /// was nothing to do.
    pub(crate) fn handle_pages_if_any<B>(&mut self, bus: &mut B) -> Result<Option<usize>, Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
        H: PageHandler<S, B>,
    {
        self.run_cycle(bus, Batching::For(self.settings.time_slice))
            .map_err(|error| self.own_error(error))
    }

    /// Returns an error with the names of the consumer and its segment.
    fn own_error(&self, error: Error) -> Error {
        error
            .of_consumer(&self.name)
            .of_segment(self.segment_number())
    }

    fn run_cycle<B>(&mut self, bus: &mut B, batching: Batching) -> Result<Option<usize>, Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
        H: PageHandler<S, B>,
    {
        name::validate("consumer", &self.name)?;
        self.source = bus.source_name();
        // Without these cursors, the consumer would handle messages with final effects again.
        self.store_unstored(bus)?;
        loop {
            let mut poll = self.poll(bus)?;
            self.check_undivided(&poll.stored)?;
            self.give_turn_back(&poll.stored);
            self.check_identity(&mut poll)?;
            self.prepare_for_lease(bus, &mut poll)?;
            poll.check_holders(self)?;
            self.is_paused = poll.is_paused();
            if self.is_paused {
                return Ok(None);
            }
            let unread = self.first_unread(bus, &mut poll)?;
            let suspicion = self.suspicion(&poll.stored);
            // A page that an earlier holder left unfinished is settled before redriven messages.
            let redriven = match suspicion {
                Suspicion::Page => None,
                _ => self.handle_redriven(bus, &poll.stored, suspicion)?,
            };
            if redriven > Some(0) {
                return Ok(redriven);
            }
            if let Some(error) = self.still_waits(bus, &poll)? {
                return Err(error);
            }
            if self.is_caught_up(bus, &poll)? {
                return unread.map_or(Ok(redriven), Err);
            }
            let progress = self.run_pages(bus, &poll, batching, suspicion)?;
            // Skipped or parked messages are no empty poll: more can follow, so poll again.
            let goes_on = progress.handled == 0 && progress.next != Next::CaughtUp;
            if !goes_on || self.signals.is_stopping() {
                return Ok(Some(progress.handled));
            }
        }
    }

    pub(super) fn request(&self, topic: &'static str) -> LeaseRequest<'_> {
        LeaseRequest {
            consumer: &self.name,
            topic,
            segment: self.segment.as_ref(),
            owner: &self.owner,
            duration: self.settings.lease_duration,
            identity: self.identity(),
            hands_out: false,
        }
    }

    /// Handles pages under one lease, until there are no more or the time slice is over.
    fn run_pages<B>(
        &mut self,
        bus: &mut B,
        poll: &Poll,
        batching: Batching,
        suspicion: Suspicion,
    ) -> Result<Progress, Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
        H: PageHandler<S, B>,
    {
        let finals = poll.finals();
        self.with_leases(
            bus,
            &poll.stored,
            suspicion,
            true,
            |consumer, bus, leases, pass| {
                consumer.start(bus, leases, poll)?;
                let begun = Instant::now();
                let mut handled = 0;
                loop {
                    let mut page = consumer.next_page(bus, leases, poll)?;
                    if let Some(noted) = leases.first_final(&finals, &mut page) {
                        // Its effects are final: apply the failure policy without an attempt.
                        consumer.give_up_final(bus, leases, noted)?;
                        return Ok(Progress::poll(handled));
                    }
                    let one_at_a_time = leases.are_suspect();
                    // The last page stores its cursor and releases the lease in one write.
                    let then = if !page.caught_up && !one_at_a_time && batching.goes_on(begun) {
                        LeaseDisposition::Extend
                    } else {
                        LeaseDisposition::Release
                    };
                    let alone = one_at_a_time && pass.is_alone();
                    let progress = consumer.run_page(bus, leases, &mut page, then, alone)?;
                    handled += progress.handled;
                    if progress.next != Next::Page {
                        return Ok(Progress::poll(handled));
                    }
                    if then == LeaseDisposition::Release {
                        return Ok(if page.caught_up {
                            Progress::caught_up(handled)
                        } else {
                            Progress::poll(handled)
                        });
                    }
                    // A slow page can use up the time slice, and the lease with it.
                    if !batching.goes_on(begun) {
                        return Ok(Progress::poll(handled));
                    }
                }
            },
        )
    }

    /// Reads the page after the cursors. If an earlier holder ended without releasing its lease,
    /// all messages of its page are suspect.
    fn next_page<B>(
        &mut self,
        bus: &mut B,
        leases: &mut Leases,
        poll: &Poll,
    ) -> Result<Page<S>, Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
        H: PageHandler<S, B>,
    {
        let usual = self.settings.page_size;
        if let Some(left) = leases.left_page() {
            let all = self.read(bus, leases, poll, usual)?;
            leases.suspect(&all);
            let page = self.read(bus, leases, poll, 1)?;
            self.warn_of_what_was_left(leases, left);
            // At the start, the hook can be the cause.
            let handed_out = leases.has_left_start() || !self.handler.has_hook();
            if left.alone
                && handed_out
                && let Some(message) = page.messages.first()
            {
                let died = Error::died(message);
                self.record_and_apply_policy(bus, leases, died)?;
                // The message is parked or skipped, and the consumer continues after it.
                return Ok(Page::nothing(&page));
            }
            return Ok(page);
        }
        let size = if leases.are_suspect() {
            1
        } else {
            self.memory.caution.page_size(leases.cursor(), usual)
        };
        self.read(bus, leases, poll, size)
    }

    /// Handles a page, and settles its failure.
    fn run_page<B>(
        &mut self,
        bus: &mut B,
        leases: &mut Leases,
        page: &mut Page<S>,
        then: LeaseDisposition,
        alone: bool,
    ) -> Result<Progress, Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
        H: PageHandler<S, B>,
    {
        let _span = observe::page(&self.name, self.segment_number()).entered();
        let begun = Instant::now();
        // This failure could not be noted on the lost connection: note it now, without an attempt.
        if let Some(message) = page.messages.first()
            && let Some(owed) = self.memory.caution.owed(message.position())
        {
            let failed = Error::handler(message, owed);
            return self.settle_failure(bus, leases, page, 0, failed);
        }
        // Noted before the handler runs: after a crash, the next holder knows what is suspect.
        if !page.messages.is_empty() {
            leases.hand_out(bus, Work::PAGE.alone(alone))?;
        }
        // A page that is stored at its end has extended the leases after this.
        let due = Deadline::after(leases.store_interval());
        let outcome = self.handler.handle_page(bus, leases, page, then);
        leases.due = due;
        if outcome.released {
            leases.are_settled();
        }
        self.skipped += outcome.skipped as u64;
        observe::page_handled(&self.name, self.segment_number(), outcome.handled, begun);
        let handled = outcome.handled;
        if !outcome.is_not_stored {
            self.note_cursors(page.places_after(handled).map(|(_, place)| place));
        }
        if let Some(final_up_to) = outcome.unstored {
            // The consumer keeps the leases until their cursors are stored.
            self.memory.unstored = Some(Unstored::of(leases, page, final_up_to));
            leases.are_settled();
        }
        let Some(error) = outcome.failure else {
            let goes_on = page.caught_up || !page.makes_no_progress();
            leases.advance(page, handled);
            self.memory.last_polled = leases.cursor();
            self.memory.caution.passed(leases.cursor());
            return Ok(if goes_on && !self.signals.is_stopping() {
                Progress::page(handled)
            } else {
                Progress::poll(handled)
            });
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

    fn read<B>(
        &self,
        bus: &mut B,
        leases: &Leases,
        poll: &Poll,
        size: usize,
    ) -> Result<Page<S>, Error>
    where
        B: MessageSource + ?Sized,
    {
        let source = &mut ReadingAhead::new(bus, poll.ahead.as_ref(), leases.cursor());
        let topics = self.topics.iter().zip(&leases.leases).zip(&poll.heads);
        let read = topics.map(|((reader, lease), head)| {
            let under = (lease, leases.token());
            let page = reader.read(source, under, *head, size, self.settings.unknown)?;
            Ok((reader.topic, lease.place(), page))
        });
        let read = read.collect::<Result<_, Error>>()?;
        Ok(Page::merge(read, size))
    }
}
