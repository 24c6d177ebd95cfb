//! Reads the messages of one topic for a page.

use std::ops::ControlFlow;

use crate::consume::recognise::{check_page, check_place};
use crate::consume::settings::Settings;
use crate::consume::topic_reader::{Reading, TopicReader};
use crate::consume::unknown::OnUnknown;
use crate::error::Error;
use crate::message::raw::StoredMessage;
use crate::message::text_arena::TextArena;
use crate::message::topic::EventSet;
use crate::message::typed::{Delivery, Message};
use crate::position::Position;
use crate::store::lease::Lease;
use crate::store::page_request::{PageRequest, TypeFilter};
use crate::store::part::Part;
use crate::store::place::{Anchor, MessageAt, Place};
use crate::store::source::MessageSource;

/// The messages that were read of one topic for a page.
#[derive(Debug)]
pub(super) struct TopicPage<S> {
    pub(super) messages: Vec<Message<S>>,
    /// The topic was read up to here: past messages that are not selected, and before a message
    /// that failed.
    pub(super) end: Place,
    /// Whether the topic has no messages after `end` for now.
    pub(super) caught_up: bool,
    /// The positions of unknown messages that are skipped.
    pub(super) skipped: Vec<Position>,
    /// The reason why the page ends there, if that is a message that cannot be handed out.
    pub(super) failure: Option<Error>,
}

impl<S> TopicPage<S> {
    fn empty(start: Place, caught_up: bool) -> Self {
        Self {
            messages: Vec::new(),
            end: start,
            caught_up,
            skipped: Vec::new(),
            failure: None,
        }
    }

    /// Ends a backfill at the former cursor. There need not be a message at that position.
    fn ends_at(&mut self, backfilled_until: Option<Position>) {
        self.end.cursor = backfilled_until.or(self.end.cursor);
    }
}

impl TopicReader {
    /// Reads messages after the cursor, up to the head.
    pub(super) fn read<S, B>(
        &self,
        bus: &mut B,
        (lease, token): (&Lease, i64),
        head: MessageAt,
        size: usize,
        unknown: OnUnknown,
    ) -> Result<TopicPage<S>, Error>
    where
        S: EventSet,
        B: MessageSource + ?Sized,
    {
        let place = lease.place();
        check_place(bus, self.topic, place, head)?;
        let (head, backfilled_until) = match &self.reading {
            Reading::Backfill(backfill) if backfill.until() < head.position => {
                let until = backfill.until();
                (bus.head(self.topic, until)?, Some(until))
            }
            _ => (head, None),
        };
        let is_backfill = matches!(self.reading, Reading::Backfill(_));
        let mut filling = Filling {
            reader: self,
            page: TopicPage::empty(place, backfilled_until.is_none()),
            headers: TextArena::default(),
            room: Settings::PAGE_BYTES,
            replay_until: lease.replay_until.filter(|_| !is_backfill),
            token,
            unknown,
        };
        // A cursor after the head comes from a holder that has read further meanwhile, or from a
        // reset. Up to the head, there is nothing for it to read.
        if place.position() >= head.position {
            filling.page.ends_at(backfilled_until);
            return Ok(filling.page);
        }
        let names = self.reading.names(self.retired);
        let request = PageRequest {
            topic: self.topic,
            part: self.part,
            message_types: self.types(&names),
            after: place.position(),
            up_to: head.position,
            limit: size,
        };
        let reaches_head = filling.fill(bus, place, &request, head)?;
        let mut page = filling.page;
        if reaches_head {
            page.end = head.place_after(page.end);
            page.ends_at(backfilled_until);
        }
        // After the backfill, there is more to read.
        page.caught_up = reaches_head && backfilled_until.is_none();
        Ok(page)
    }
}

/// A page while its messages are read.
struct Filling<'a, S> {
    reader: &'a TopicReader,
    page: TopicPage<S>,
    headers: TextArena,
    /// The number of bytes that the page can still hold.
    room: usize,
    replay_until: Option<Position>,
    token: i64,
    unknown: OnUnknown,
}

impl<S: EventSet> Filling<'_, S> {
    /// Reads the page, and checks its source. Returns whether the page has reached the head.
    fn fill<B>(
        &mut self,
        bus: &mut B,
        place: Place,
        request: &PageRequest<'_>,
        head: MessageAt,
    ) -> Result<bool, Error>
    where
        B: MessageSource + ?Sized,
    {
        let is_whole = request.part == Part::Whole && request.message_types == TypeFilter::All;
        let anchor = place
            .anchor
            .filter(|anchor| is_whole && anchor.position == request.after);
        let after_anchor = match anchor {
            Some(anchor) => self.read_after_anchor(bus, request, anchor)?,
            None => None,
        };
        let is_recognised = after_anchor.is_some();
        let read =
            after_anchor.unwrap_or_else(|| bus.read_page(request, &mut |stored| self.add(stored)));
        let reaches_head = match read {
            // None of its messages can be handled, because others are missing between them.
            Err(error) if error.is_stale_page() => return Err(error),
            Ok(end) if self.page.failure.is_none() => {
                self.page.end = end.place_after(self.page.end);
                end.position >= head.position
            }
            read => {
                self.page.failure = self.page.failure.take().or(read.err());
                false
            }
        };
        let unread_head = head
            .anchor()
            .filter(|head| reaches_head && self.page.end.anchor != Some(*head));
        // A page of the whole topic contains the head.
        if is_whole && unread_head.is_some() {
            return Err(Error::stale_page(
                request.topic,
                place.position(),
                head.position,
            ));
        }
        if !is_recognised {
            check_page(bus, request.topic, place, unread_head)?;
        }
        Ok(reaches_head)
    }

    /// Reads a page that begins with the anchor, so that recognising the anchor costs no statement.
    /// Returns `None` if the page does not begin with it, or has room for nothing else.
    ///
    /// # Errors
    ///
    /// If another message is at the position of the anchor.
    fn read_after_anchor<B>(
        &mut self,
        bus: &mut B,
        request: &PageRequest<'_>,
        anchor: Anchor,
    ) -> Result<Option<Result<MessageAt, Error>>, Error>
    where
        B: MessageSource + ?Sized,
    {
        let mut first = None;
        let from_anchor = PageRequest {
            after: anchor.position.before(),
            limit: request.limit.saturating_add(1),
            ..*request
        };
        // A row that is broken has no id, and can be an anchor all the same. Then this fails.
        let read = bus.read_page(&from_anchor, &mut |stored| {
            if first.is_some() {
                return self.add(stored);
            }
            first = Some((stored.position, stored.message_id));
            if stored.position == anchor.position {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        });
        match first {
            Some((position, found)) if position == anchor.position => {
                if found != anchor.message_id {
                    return Err(Error::unrecognised(request.topic, anchor, Some(found)));
                }
                // A feed can limit its pages to the anchor alone.
                let has_room = read
                    .as_ref()
                    .map_or(true, |end| end.position > anchor.position);
                Ok(has_room.then_some(read))
            }
            _ => Ok(None),
        }
    }

    /// Adds a message to the page.
    fn add(&mut self, stored: &StoredMessage<'_>) -> ControlFlow<()> {
        let delivery = Delivery {
            is_replay: Some(stored.position) <= self.replay_until,
            token: self.token,
        };
        let page = &mut self.page;
        match self.reader.decode(stored, delivery, &mut self.headers) {
            Ok(message) => page.messages.push(message),
            Err(error) if self.unknown.passes_over(&error) && self.reader.selects(stored) => {
                page.skipped.push(stored.position);
            }
            Err(error) => {
                page.failure = Some(error);
                return ControlFlow::Break(());
            }
        }
        page.end = Place::after(stored.position, stored.message_id);
        self.room = self
            .room
            .saturating_sub(stored.payload.len() + stored.headers.len());
        match self.room {
            0 => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    }
}
