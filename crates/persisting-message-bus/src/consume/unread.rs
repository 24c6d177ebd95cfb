//! Waits before the messages of topics that only a newer program of this name reads.

use std::ops::ControlFlow;

use crate::consume::consumer::MessageConsumer;
use crate::consume::errors::storable_text;
use crate::consume::poll::Poll;
use crate::error::Error;
use crate::message::topic::EventSet;
use crate::position::Position;
use crate::store::consumer_state::MessageConsumerState;
use crate::store::event_set::Types;
use crate::store::identity::ConsumerIdentity;
use crate::store::lease::LeaseRequest;
use crate::store::page_request::PageRequest;
use crate::store::part::Part;
use crate::store::place::MessageAt;
use crate::store::source::MessageSource;

impl<S: EventSet, H> MessageConsumer<S, H> {
    /// Ends each topic before the first message of a topic that only a newer program reads. Returns
    /// the error of that message.
    pub(super) fn first_unread<B>(
        &mut self,
        bus: &mut B,
        poll: &mut Poll,
    ) -> Result<Option<Error>, Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
    {
        let mut first: Option<(Position, Error, &str)> = None;
        for (topic, types) in &poll.unread_topics {
            let found = self.first_unread_of(bus, topic, types)?;
            if let Some((position, error)) = found
                && first.as_ref().is_none_or(|(at, ..)| position < *at)
            {
                first = Some((position, error, topic));
            }
        }
        let Some((position, error, topic)) = first else {
            return Ok(None);
        };
        if self.memory.unread_told != Some(position) && self.record_unread(bus, topic, &error)? {
            self.memory.unread_told = Some(position);
        }
        for head in &mut poll.heads {
            if head.position >= position {
                *head = MessageAt {
                    position: position.before(),
                    message_id: None,
                };
            }
        }
        Ok(Some(error))
    }

    /// Returns the first visible message of a topic that only a newer program reads.
    ///
    /// The messages before it are passed over in stretches. If there are many, the consumer remembers
    /// its progress, so that the next poll passes over few of them again.
    fn first_unread_of<B>(
        &mut self,
        bus: &mut B,
        topic: &str,
        types: &Types,
    ) -> Result<Option<(Position, Error)>, Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
    {
        let stored = self.stored_row(bus, topic)?;
        let cursor = stored.map_or(Position::START, |stored| stored.place().position());
        let passing = self
            .memory
            .unread_passed
            .entry(topic.to_owned())
            .or_default();
        passing.continue_after(cursor, types);
        let (mut after, mut high_water_mark) = (passing.up_to, None);
        let names = types.names();
        let mut found = None;
        while !self.signals.is_stopping() {
            let request = PageRequest {
                topic,
                part: self
                    .segment
                    .as_ref()
                    .map_or(Part::Whole, |segment| segment.part),
                message_types: types.filter(&names),
                after,
                up_to: Position::LAST,
                limit: 1,
            };
            let end = bus.read_page(&request, &mut |stored| {
                found = Some((stored.position, Error::not_selected(stored)));
                ControlFlow::Break(())
            })?;
            if found.is_some() || end.position == Position::LAST {
                break;
            }
            // Up to the mark, no message can still be committed. The mark must be read before the
            // messages, so this stretch is read again.
            let Some(mark) = high_water_mark else {
                let mark = bus.high_water_mark(topic, &mut passing.observations)?;
                high_water_mark = Some(mark);
                continue;
            };
            after = end.position;
            if after <= mark {
                passing.up_to = after;
            }
        }
        Ok(found)
    }

    /// Records the first message of a topic that only a newer program reads, so that the consumer's
    /// status on that topic shows it. Leaves the row alone while another holder is at work, or has
    /// ended unexpectedly. Returns whether the message is recorded.
    fn record_unread<B>(&self, bus: &mut B, topic: &str, error: &Error) -> Result<bool, Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        let request = LeaseRequest {
            consumer: &self.name,
            topic,
            segment: self.segment.as_ref(),
            owner: &self.owner,
            duration: self.settings.lease_duration,
            identity: ConsumerIdentity::default(),
            hands_out: false,
        };
        let stored = self.stored_row(bus, topic)?;
        let is_idle = stored.is_some_and(|stored| stored.work.is_none());
        let Some(message) = error.failing_message().filter(|_| is_idle) else {
            return Ok(false);
        };
        match bus.acquire(&request) {
            Ok(lease) => {
                self.record_unknown(bus, &lease, &message, &storable_text(error))?;
                bus.release(&lease).map(|()| true)
            }
            Err(held) if held.is_lease_held() => Ok(false),
            Err(error) => Err(error),
        }
    }
}
