use std::ops::ControlFlow;

use chrono::{DateTime, Utc};

use crate::consume::recognise::{check_page, check_place};
use crate::consume::settings::Settings;
use crate::consume::unknown::OnUnknown;
use crate::error::Error;
use crate::message::raw::StoredMessage;
use crate::message::text_arena::TextArena;
use crate::message::topic::{EventSet, MessageDescriptor, TopicFilter, WantedMessages};
use crate::message::typed::Message;
use crate::position::Position;
use crate::store::event_set::{Backfill, Types};
use crate::store::lease::Lease;
use crate::store::place::{MessageAt, Place};
use crate::store::slot_observations::SlotObservations;
use crate::store::source::{MessageSource, PageRequest, TypeFilter};

/// Reads the messages of one topic that an event set selects.
#[derive(Debug)]
pub(super) struct TopicReader {
    pub(super) topic: &'static str,
    pub(super) retired: &'static [&'static str],
    filter: Filter,
    /// How the consumer's row requires the topic to be read.
    pub(super) reading: Reading,
    observations: SlotObservations,
}

/// How a topic is read.
#[derive(Debug, Clone)]
pub(super) enum Reading {
    /// As the event set selects.
    Usual,
    /// With types that only a newer program wants. This one must not pass them.
    Wider(Types),
    /// Only messages of added types, up to the cursor when they were added.
    Backfill(Backfill),
}

/// The names and aliases of types for which the repository is asked.
#[derive(Debug)]
enum Filter {
    Only(Vec<&'static str>),
    Except(Vec<&'static str>),
}

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

/// Returns a reader for each topic of the event set, sorted by the topics' names.
pub(super) fn of_event_set<S: EventSet>() -> Vec<TopicReader> {
    let mut readers: Vec<_> = S::SELECTIONS.iter().map(TopicReader::new).collect();
    readers.sort_by_key(|reader| reader.topic);
    readers
}

impl TopicReader {
    fn new(selection: &'static TopicFilter) -> Self {
        let retired = selection.retired.iter().copied();
        let filter = match selection.wanted {
            WantedMessages::All => Filter::Except(retired.collect()),
            WantedMessages::Only(chosen) => {
                let names = chosen.iter().flat_map(|message| message.names());
                Filter::Only(names.collect())
            }
            WantedMessages::OnlyAndUnknown { chosen, known } => {
                let others = known.iter().filter(|message| !chosen.contains(message));
                let others = others.flat_map(MessageDescriptor::names);
                Filter::Except(others.chain(retired).collect())
            }
        };
        Self {
            topic: selection.topic,
            retired: selection.retired,
            filter,
            reading: Reading::Usual,
            observations: SlotObservations::default(),
        }
    }

    /// Returns the position up to which the topic can be read for now.
    pub(super) fn high_water_mark<B>(&mut self, bus: &mut B) -> Result<Position, Error>
    where
        B: MessageSource + ?Sized,
    {
        bus.high_water_mark(self.topic, &mut self.observations)
    }

    /// Returns the position up to which the topic can be read for now, or `None` if no message
    /// after the position is visible.
    pub(super) fn high_water_mark_beyond<B>(
        &mut self,
        bus: &mut B,
        after: Position,
    ) -> Result<Option<Position>, Error>
    where
        B: MessageSource + ?Sized,
    {
        bus.high_water_mark_beyond(self.topic, after, &mut self.observations)
    }

    /// Returns the last message that is there now.
    pub(super) fn end<B>(&mut self, bus: &mut B) -> Result<MessageAt, Error>
    where
        B: MessageSource + ?Sized,
    {
        let high_water_mark = self.high_water_mark(bus)?;
        // A slot that was never observed free holds the high-water mark at the start.
        if self.observations.is_complete() {
            bus.head(self.topic, high_water_mark)
        } else {
            let doing = format!("looking for the end of topic \"{}\"", self.topic);
            let cause = "transactions of publishers that began earlier are still in flight";
            Err(Error::transient(doing, cause))
        }
    }

    /// Reads messages after the cursor, up to the head.
    pub(super) fn read<S, B>(
        &self,
        bus: &mut B,
        lease: &Lease,
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
        // A cursor after the head comes from a holder that has read further meanwhile, or from a
        // reset. Up to the head, there is nothing for it to read.
        let mut page = TopicPage::empty(place, backfilled_until.is_none());
        if place.position() >= head.position {
            page.ends_at(backfilled_until);
            return Ok(page);
        }
        let names = self.reading.names(self.retired);
        let request = PageRequest {
            topic: self.topic,
            message_types: self.types(&names),
            after: place.position(),
            up_to: head.position,
            limit: size,
        };
        let is_backfill = matches!(self.reading, Reading::Backfill(_));
        let (mut headers, mut received) = (TextArena::default(), 0);
        let mut room = Settings::PAGE_BYTES;
        let read = bus.read_page(&request, &mut |stored| {
            let is_replay = !is_backfill && Some(stored.position) <= lease.replay_until;
            match self.decode(stored, is_replay, &mut headers) {
                Ok(message) => page.messages.push(message),
                Err(error) if unknown.passes_over(&error) && self.selects(stored) => {
                    page.skipped.push(stored.position);
                }
                Err(error) => {
                    page.failure = Some(error);
                    return ControlFlow::Break(());
                }
            }
            received += 1;
            page.end = Place::after(stored.position, stored.message_id);
            room = room.saturating_sub(stored.payload.len() + stored.headers.len());
            match room {
                0 => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        });
        page.failure = page.failure.or(read.err());
        let reaches_end = page.failure.is_none() && received < size && room > 0;
        let unread_head = head
            .anchor()
            .filter(|head| reaches_end && page.end.anchor != Some(*head));
        // A page of the whole topic contains the head.
        if unread_head.is_some() && request.message_types == TypeFilter::All {
            return Err(Error::stale_page(
                self.topic,
                place.position(),
                head.position,
            ));
        }
        check_page(bus, self.topic, place, unread_head)?;
        if reaches_end {
            page.end = head.place_after(page.end);
            page.ends_at(backfilled_until);
            // After the backfill, there is more to read.
            page.caught_up = backfilled_until.is_none();
        } else {
            page.caught_up = false;
        }
        Ok(page)
    }

    /// Decodes a message. A message that only a newer program wants is unknown to this one, even if
    /// its event set has a variant for unknown messages.
    fn decode<S: EventSet>(
        &self,
        stored: &StoredMessage<'_>,
        is_replay: bool,
        headers: &mut TextArena,
    ) -> Result<Message<S>, Error> {
        if self.selects(stored) {
            Message::decode(self.topic, stored, is_replay, headers)
        } else {
            Err(Error::not_selected(stored))
        }
    }

    /// Returns whether the event set of this program selects a type. An unknown type could be one.
    pub(super) fn selects_type(&self, message_type: Option<&str>) -> bool {
        message_type.is_none_or(|name| self.filter.as_types().include(name))
    }

    /// Returns whether the event set of this program selects the message.
    fn selects(&self, stored: &StoredMessage<'_>) -> bool {
        let is_usual = matches!(self.reading, Reading::Usual);
        is_usual || self.filter.as_types().include(stored.message_type)
    }

    /// Returns the types that are read. `names` are those of the reading.
    fn types<'a>(&'a self, names: &'a [&'a str]) -> TypeFilter<'a> {
        match &self.reading {
            Reading::Usual => self.filter.as_types(),
            Reading::Wider(types) | Reading::Backfill(Backfill { types, .. }) => {
                types.filter(names)
            }
        }
    }

    /// Reads one message, or `None` if the consumer selects none at that position.
    pub(super) fn read_one<S, B>(
        &self,
        bus: &mut B,
        replay_until: Option<Position>,
        position: Position,
    ) -> Result<Option<Message<S>>, Error>
    where
        S: EventSet,
        B: MessageSource + ?Sized,
    {
        let names = self.reading.names(self.retired);
        let request = PageRequest {
            topic: self.topic,
            // A backfill is about other messages than this one.
            message_types: match self.reading {
                Reading::Backfill(_) => TypeFilter::All,
                _ => self.types(&names),
            },
            after: position.before(),
            up_to: position,
            limit: 1,
        };
        let (mut headers, mut read) = (TextArena::default(), None);
        bus.read_page(&request, &mut |stored| {
            let is_replay = Some(position) <= replay_until;
            read = Some(self.decode(stored, is_replay, &mut headers));
            ControlFlow::Break(())
        })?;
        read.transpose()
    }

    /// Returns the position before the first message that was recorded at that time or later, or
    /// the end of the topic if there is none.
    pub(super) fn position_before<B>(
        &mut self,
        bus: &mut B,
        time: DateTime<Utc>,
    ) -> Result<Position, Error>
    where
        B: MessageSource + ?Sized,
    {
        let end = self.end(bus)?;
        let first = bus.first_since(self.topic, time, end.position)?;
        Ok(first.map_or(end.position, Position::before))
    }
}

impl Reading {
    /// Returns the names of the types that are selected or left out.
    fn names<'a>(&'a self, retired: &[&'a str]) -> Vec<&'a str> {
        let (Self::Wider(types) | Self::Backfill(Backfill { types, .. })) = self else {
            return Vec::new();
        };
        let mut names = types.names();
        if matches!(types, Types::Except(_)) {
            names.extend_from_slice(retired);
        }
        names
    }
}

impl Filter {
    fn as_types(&self) -> TypeFilter<'_> {
        match self {
            Self::Only(names) => TypeFilter::Only(names),
            Self::Except(names) if names.is_empty() => TypeFilter::All,
            Self::Except(names) => TypeFilter::Except(names),
        }
    }
}

impl OnUnknown {
    pub(super) fn passes_over(self, error: &Error) -> bool {
        self == Self::Skip && error.is_unknown_message()
    }
}

impl<S> TopicPage<S> {
    /// Ends a backfill at the former cursor. There need not be a message at that position.
    fn ends_at(&mut self, backfilled_until: Option<Position>) {
        self.end.cursor = backfilled_until.or(self.end.cursor);
    }

    fn empty(start: Place, caught_up: bool) -> Self {
        Self {
            messages: Vec::new(),
            end: start,
            caught_up,
            skipped: Vec::new(),
            failure: None,
        }
    }
}
