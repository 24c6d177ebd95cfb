use std::ops::ControlFlow;

use chrono::{DateTime, Utc};

use super::settings::Settings;
use super::unknown::UnknownMessages;
use crate::shared_text::SharedTexts;
use crate::{
    Error, EventSet, Lease, Message, MessageDescriptor, MessageSource, MessageTypes, PageRequest,
    Position, Selection, Sightings, Wanted,
};

/// Reads what an event set wants to see of one topic.
#[derive(Debug)]
pub(super) struct TopicReader {
    pub(super) topic: &'static str,
    filter: Filter,
    sightings: Sightings,
}

/// Names and aliases that the repository is asked for.
#[derive(Debug)]
enum Filter {
    All,
    Only(Vec<&'static str>),
    Except(Vec<&'static str>),
}

/// What was read of one topic for a page.
#[derive(Debug)]
pub(super) struct TopicPage<S> {
    pub(super) messages: Vec<Message<S>>,
    /// Everything of the topic up to here was read: beyond what was not wanted, in front of what
    /// failed.
    pub(super) end: Option<Position>,
    /// Whether the topic has nothing behind `end` for now.
    pub(super) caught_up: bool,
    /// Where messages stand that are unknown and passed over.
    pub(super) skipped: Vec<Position>,
    /// Why the page ends where it does, if that is a message that cannot be handed out.
    pub(super) failure: Option<Error>,
}

/// A reader for each topic of the event set, by the topics' names.
pub(super) fn of_event_set<S: EventSet>() -> Vec<TopicReader> {
    let mut readers: Vec<_> = S::SELECTIONS.iter().map(TopicReader::new).collect();
    readers.sort_by_key(|reader| reader.topic);
    readers
}

impl TopicReader {
    fn new(selection: &'static Selection) -> Self {
        let filter = match selection.wanted {
            Wanted::All => Filter::All,
            Wanted::Only(chosen) => {
                let names = chosen.iter().flat_map(|message| message.names());
                Filter::Only(names.collect())
            }
            Wanted::OnlyAndUnknown { chosen, known } => {
                let others = known.iter().filter(|message| !chosen.contains(message));
                Filter::Except(others.flat_map(MessageDescriptor::names).collect())
            }
        };
        Self {
            topic: selection.topic,
            filter,
            sightings: Sightings::default(),
        }
    }

    /// Up to where the topic can be read for now.
    pub(super) fn horizon<B>(&mut self, bus: &mut B) -> Result<Position, Error>
    where
        B: MessageSource + ?Sized,
    {
        bus.horizon(self.topic, &mut self.sightings)
    }

    /// Behind the messages that are there now.
    pub(super) fn end<B>(&mut self, bus: &mut B) -> Result<Position, Error>
    where
        B: MessageSource + ?Sized,
    {
        let horizon = self.horizon(bus)?;
        if self.sightings.are_complete() {
            bus.head(self.topic, horizon)
        } else {
            let doing = format!("looking for the end of topic \"{}\"", self.topic);
            let cause = "publishers that were there before have not ended their transactions";
            Err(Error::repository(doing, cause, true))
        }
    }

    /// Reads on from the cursor, up to the head.
    pub(super) fn read<S, B>(
        &self,
        bus: &mut B,
        lease: &Lease,
        head: Position,
        size: usize,
        unknown: UnknownMessages,
    ) -> Result<TopicPage<S>, Error>
    where
        S: EventSet,
        B: MessageSource + ?Sized,
    {
        let after = lease.cursor.unwrap_or(Position::START);
        self.check_cursor(bus, after, head)?;
        // A cursor after the head is that of a holder who has seen more meanwhile, or it was moved there:
        // up to the head, there is nothing for it.
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
        let (mut headers, mut received) = (SharedTexts::default(), 0);
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

    /// Reads one message; `None` where there is none that the consumer wants to see.
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
        let (mut headers, mut read) = (SharedTexts::default(), None);
        bus.read_page(&request, &mut |stored| {
            let is_replay = Some(position) <= lease.replay_until;
            read = Some(Message::decode(self.topic, stored, is_replay, &mut headers));
            ControlFlow::Break(())
        })?;
        read.transpose()
    }

    /// The position in front of the first message that was recorded at that time or later; the end of
    /// the topic where there is none.
    pub(super) fn in_front_of<B>(
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

    /// A cursor beyond the head is right if there are messages that cannot be read yet, or were and
    /// are pruned since; not if that position was never handed out.
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
    fn as_types(&self) -> MessageTypes<'_> {
        match self {
            Self::All => MessageTypes::All,
            Self::Only(names) => MessageTypes::Only(names),
            Self::Except(names) if names.is_empty() => MessageTypes::All,
            Self::Except(names) => MessageTypes::Except(names),
        }
    }
}

impl UnknownMessages {
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
