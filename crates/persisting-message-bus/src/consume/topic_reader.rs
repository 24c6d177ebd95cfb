use std::ops::ControlFlow;

use chrono::{DateTime, Utc};

use crate::consume::time_search::first_since;
use crate::consume::unknown::OnUnknown;
use crate::error::Error;
use crate::message::raw::StoredMessage;
use crate::message::text_arena::TextArena;
use crate::message::topic::{EventSet, MessageDescriptor, TopicFilter, WantedMessages};
use crate::message::typed::{Delivery, Message};
use crate::position::Position;
use crate::store::event_set::{Backfill, Types};
use crate::store::page_request::{PageRequest, TypeFilter};
use crate::store::part::Part;
use crate::store::place::MessageAt;
use crate::store::slot_observations::SlotObservations;
use crate::store::source::MessageSource;

/// Reads the messages of one topic that an event set selects.
#[derive(Debug)]
pub(super) struct TopicReader {
    pub(super) topic: &'static str,
    pub(super) retired: &'static [&'static str],
    filter: Filter,
    /// The part of the topic that the consumer reads: all of it, or that of its segment.
    pub(super) part: Part,
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
            part: Part::Whole,
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

    /// Decodes a message. A message that only a newer program wants is unknown to this one, even if
    /// its event set has a variant for unknown messages.
    pub(super) fn decode<S: EventSet>(
        &self,
        stored: &StoredMessage<'_>,
        delivery: Delivery,
        headers: &mut TextArena,
    ) -> Result<Message<S>, Error> {
        if self.selects(stored) {
            Message::decode(self.topic, stored, delivery, headers)
        } else {
            Err(Error::not_selected(stored))
        }
    }

    /// Returns whether the event set of this program selects a type. An unknown type could be one.
    pub(super) fn selects_type(&self, message_type: Option<&str>) -> bool {
        message_type.is_none_or(|name| self.filter.as_types().include(name))
    }

    /// Returns whether the event set of this program selects the message.
    pub(super) fn selects(&self, stored: &StoredMessage<'_>) -> bool {
        let is_usual = matches!(self.reading, Reading::Usual);
        is_usual || self.filter.as_types().include(stored.message_type)
    }

    /// Returns the types that are read. `names` are those of the reading.
    pub(super) fn types<'a>(&'a self, names: &'a [&'a str]) -> TypeFilter<'a> {
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
        (replay_until, token): (Option<Position>, i64),
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
            part: Part::Whole,
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
            let delivery = Delivery {
                is_replay: Some(position) <= replay_until,
                token,
            };
            read = Some(self.decode(stored, delivery, &mut headers));
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
        let first = first_since(bus, self.topic, time, end.position)?;
        Ok(first.map_or(end.position, Position::before))
    }
}

impl Reading {
    /// Returns the names of the types that are selected or left out.
    pub(super) fn names<'a>(&'a self, retired: &[&'a str]) -> Vec<&'a str> {
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
