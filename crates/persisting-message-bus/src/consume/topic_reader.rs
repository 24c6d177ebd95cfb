use std::ops::ControlFlow;

use chrono::{DateTime, Utc};

use crate::consume::settings::Settings;
use crate::consume::unknown::OnUnknown;
use crate::error::Error;
use crate::message::text_arena::TextArena;
use crate::message::topic::{EventSet, MessageDescriptor, TopicFilter, WantedMessages};
use crate::message::typed::Message;
use crate::position::Position;
use crate::store::lease::Lease;
use crate::store::slot_observations::SlotObservations;
use crate::store::source::{MessageSource, PageRequest, TypeFilter};

/// Reads the messages of one topic that an event set selects.
#[derive(Debug)]
pub(super) struct TopicReader {
    pub(super) topic: &'static str,
    pub(super) retired: &'static [&'static str],
    filter: Filter,
    observations: SlotObservations,
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
    pub(super) end: Option<Position>,
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

    /// Returns the position after the messages that are there now.
    pub(super) fn end<B>(&mut self, bus: &mut B) -> Result<Position, Error>
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
        head: Position,
        size: usize,
        unknown: OnUnknown,
    ) -> Result<TopicPage<S>, Error>
    where
        S: EventSet,
        B: MessageSource + ?Sized,
    {
        let after = lease.cursor.unwrap_or(Position::START);
        self.check_cursor(bus, after, head)?;
        // A cursor after the head comes from a holder that has read further meanwhile, or from a
        // reset. Up to the head, there is nothing for it to read.
        let mut page = TopicPage::empty(lease.cursor, true);
        if after >= head {
            return Ok(page);
        }
        let request = PageRequest {
            topic: self.topic,
            message_types: self.filter.as_types(),
            after,
            up_to: head,
            limit: size,
        };
        let (mut headers, mut received) = (TextArena::default(), 0);
        let mut room = Settings::PAGE_BYTES;
        let read = bus.read_page(&request, &mut |stored| {
            let is_replay = Some(stored.position) <= lease.replay_until;
            match Message::decode(self.topic, stored, is_replay, &mut headers) {
                Ok(message) => page.messages.push(message),
                Err(error) if unknown.passes_over(&error) => {
                    page.skipped.push(stored.position);
                }
                Err(error) => {
                    page.failure = Some(error);
                    return ControlFlow::Break(());
                }
            }
            received += 1;
            page.end = Some(stored.position);
            room = room.saturating_sub(stored.payload.len() + stored.headers.len());
            match room {
                0 => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        });
        page.failure = page.failure.or(read.err());
        if page.failure.is_none() && received < size && room > 0 {
            page.end = Some(head);
        } else {
            page.caught_up = false;
        }
        Ok(page)
    }

    /// Reads one message, or `None` if the consumer selects none at that position.
    pub(super) fn read_one<S, B>(
        &self,
        bus: &mut B,
        lease: &Lease,
        position: Position,
    ) -> Result<Option<Message<S>>, Error>
    where
        S: EventSet,
        B: MessageSource + ?Sized,
    {
        let request = PageRequest {
            topic: self.topic,
            message_types: self.filter.as_types(),
            after: position.before(),
            up_to: position,
            limit: 1,
        };
        let (mut headers, mut read) = (TextArena::default(), None);
        bus.read_page(&request, &mut |stored| {
            let is_replay = Some(position) <= lease.replay_until;
            read = Some(Message::decode(self.topic, stored, is_replay, &mut headers));
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
        let first = bus.first_since(self.topic, time, end)?;
        Ok(first.map_or(end, Position::before))
    }

    /// Checks a cursor. After the head, it is valid if messages there cannot be read yet, or were
    /// read and are pruned since. It is broken if that position was never assigned.
    pub(super) fn check_cursor<B>(
        &self,
        bus: &mut B,
        cursor: Position,
        head: Position,
    ) -> Result<(), Error>
    where
        B: MessageSource + ?Sized,
    {
        if (Position::START..=head).contains(&cursor) {
            return Ok(());
        }
        let last = bus.last_position()?;
        if (Position::START..=last).contains(&cursor) {
            Ok(())
        } else {
            Err(Error::broken_cursor(self.topic, cursor, last))
        }
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
    fn empty(start: Option<Position>, caught_up: bool) -> Self {
        Self {
            messages: Vec::new(),
            end: start,
            caught_up,
            skipped: Vec::new(),
            failure: None,
        }
    }
}
