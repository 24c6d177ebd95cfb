//! Waits before the messages of topics that only a newer program of this name reads.

use std::ops::ControlFlow;

use crate::consume::consumer::MessageConsumer;
use crate::consume::errors::storable_text;
use crate::consume::poll::Poll;
use crate::error::Error;
use crate::message::topic::EventSet;
use crate::position::Position;
use crate::store::consumer_state::MessageConsumerState;
use crate::store::identity::ConsumerIdentity;
use crate::store::lease::LeaseRequest;
use crate::store::place::MessageAt;
use crate::store::source::{MessageSource, PageRequest};

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
            let stored = bus.stored_consumer(self.key(topic))?;
            let place = stored.map(|stored| stored.place()).unwrap_or_default();
            let names = types.names();
            let request = PageRequest {
                topic,
                message_types: types.filter(&names),
                after: place.position(),
                up_to: Position::LAST,
                limit: 1,
            };
            bus.read_page(&request, &mut |stored| {
                if first.as_ref().is_none_or(|(at, ..)| stored.position < *at) {
                    let error = Error::not_selected(stored);
                    first = Some((stored.position, error, topic));
                }
                ControlFlow::Break(())
            })?;
        }
        let Some((position, error, topic)) = first else {
            return Ok(None);
        };
        if self.unread_told != Some(position) && self.record_unread(bus, topic, &error)? {
            self.unread_told = Some(position);
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
            owner: &self.owner,
            duration: self.settings.lease_duration,
            identity: ConsumerIdentity::default(),
        };
        let stored = bus.stored_consumer(request.key())?;
        let is_idle = stored.is_some_and(|stored| stored.work.is_none());
        let Some(message) = error.culprit().filter(|_| is_idle) else {
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
