use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use persisting_message_bus::backend::{
    MessageAt, MessageSource, PageRequest, SlotObservations, StoredMessage, TypeFilter,
};
use persisting_message_bus::{Error, Position};
use uuid::Uuid;

use super::failure::Failure;
use super::page::{Asked, Page};
use super::{HttpSource, Known, index};
use crate::wire::{MAX_TYPES, parameter, segment};

/// The maximum number of events of a feed's page, unless the feed is configured otherwise.
const MAX_LIMIT: usize = 5_000;
/// The maximum length of the types in an address. Some intermediaries refuse longer addresses.
const MAX_FILTER: usize = 4_000;
/// While there is more to read anyway, the time in which another poll is of no use.
const FRESH: Duration = Duration::from_secs(1);

impl MessageSource for HttpSource {
    /// Returns the feed's high-water mark. The feed itself keeps the observations of publishers.
    fn high_water_mark(
        &mut self,
        topic: &str,
        _observations: &mut SlotObservations,
    ) -> Result<Position, Error> {
        let known = self.known.remove(topic).filter(Known::is_fresh);
        let known = match known {
            Some(known) => Known {
                with_page: None,
                ..known
            },
            None => self.look(topic)?,
        };
        self.known.insert(topic.to_owned(), known);
        Ok(known.high_water_mark)
    }

    /// Returns the feed's head, at most the high-water mark. There may be no message at that
    /// position; then its id is unknown.
    fn head(&mut self, topic: &str, high_water_mark: Position) -> Result<MessageAt, Error> {
        let known = match self.known.get(topic) {
            Some(known) => *known,
            None => self.look(topic)?,
        };
        // The feed shows nothing after its own high-water mark.
        let is_visible = high_water_mark <= known.high_water_mark;
        if known.head.position <= high_water_mark && is_visible {
            return Ok(known.head);
        }
        Ok(MessageAt {
            position: high_water_mark,
            message_id: None,
        })
    }

    /// Returns the id that came with the last page, and asks for another one.
    fn id_at(&mut self, topic: &str, position: Position) -> Result<Option<Uuid>, Error> {
        if position == Position::START {
            return Ok(None);
        }
        if let Some(known) = self.known.get(topic) {
            let mut messages = [known.after, known.head].into_iter();
            if let Some(found) = messages.find(|message| message.position == position) {
                return Ok(found.message_id);
            }
        }
        let mut id = None;
        let request = PageRequest {
            topic,
            part: persisting_message_bus::backend::Part::Whole,
            message_types: TypeFilter::All,
            after: Position::new(position.get() - 1),
            up_to: position,
            limit: 1,
        };
        let known = self.known.get(topic).copied();
        self.read_page(&request, &mut |stored| {
            id = Some(stored.message_id);
            ControlFlow::Break(())
        })?;
        // The page that the consumer has read must stay the last one.
        if let Some(known) = known {
            self.known.insert(topic.to_owned(), known);
        }
        Ok(id)
    }

    /// Returns the feed's address.
    fn source_name(&self) -> Option<String> {
        Some(self.server.url().to_owned())
    }

    fn current_head(&mut self, topic: &str) -> Result<Position, Error> {
        self.look(topic).map(|known| known.head.position)
    }

    /// Returns the position that comes with the head of a topic, or else the one of the feed's index.
    fn last_position(&mut self) -> Result<Position, Error> {
        if let Some(topic) = self.known.keys().next()
            && let Some(last) = self.empty_page(topic, true)?.last
        {
            return Ok(last);
        }
        let last = index::last_position(&self.server);
        last.map_err(|failure| self.failed("reading the last position of", failure))
    }

    fn read_page(
        &mut self,
        request: &PageRequest<'_>,
        receive: &mut dyn FnMut(&StoredMessage<'_>) -> ControlFlow<()>,
    ) -> Result<MessageAt, Error> {
        let is_empty = request.after >= request.up_to || request.limit == 0;
        if is_empty || request.message_types == TypeFilter::Only(&[]) {
            return Ok(request.end(None, 0));
        }
        let read = self.read_once(request, receive);
        read.map_err(|failure| {
            let (topic, after) = (request.topic, request.after);
            let doing = format!("reading topic {topic:?} after position {after} from");
            self.failed(&doing, failure)
        })
    }
}

impl Known {
    /// Returns `true` if the known positions replace a poll.
    fn is_fresh(&self) -> bool {
        self.with_page.is_some_and(|came| came.elapsed() < FRESH)
    }
}

impl HttpSource {
    fn look(&self, topic: &str) -> Result<Known, Error> {
        let page = self.empty_page(topic, false)?;
        Ok(Known {
            high_water_mark: page.high_water_mark,
            head: page.head,
            after: page.after,
            with_page: None,
        })
    }

    /// Requests a page without events, whose headers contain the topic's head and, if that is asked
    /// for, the last position of all topics.
    fn empty_page(&self, topic: &str, with_last: bool) -> Result<Page, Error> {
        let asked = Asked {
            topic,
            after: Position::START,
            limit: 0,
        };
        let mut path = path(asked, TypeFilter::All);
        if with_last {
            path.push('&');
            path.push_str(parameter::WITH_LAST);
        }
        let page = self.server.ask(&path, |answer| Page::new(answer, asked));
        let doing = format!("reading the head of topic {topic:?} of");
        page.map_err(|failure| self.failed(&doing, failure))
    }

    /// Passes the messages of one response on, and returns the end of its page.
    fn read_once(
        &mut self,
        request: &PageRequest<'_>,
        receive: &mut dyn FnMut(&StoredMessage<'_>) -> ControlFlow<()>,
    ) -> Result<MessageAt, Failure> {
        let after = request.after;
        let asked = Asked {
            topic: request.topic,
            after,
            limit: request.limit.min(MAX_LIMIT),
        };
        let page = self
            .server
            .ask(&path(asked, request.message_types), |answer| {
                Page::new(answer, asked)?.on_the_way(after, request.up_to)
            })?;
        let events = page.events()?;
        let messages = page.messages(&events, asked)?;
        let known = Known {
            high_water_mark: page.high_water_mark,
            head: page.head,
            after: page.after,
            with_page: (page.head.position > page.next).then(Instant::now),
        };
        self.known.insert(request.topic.to_owned(), known);
        let mut last = MessageAt::default();
        for message in messages
            .iter()
            .take_while(|message| message.position <= request.up_to)
        {
            // A long list of types is not sent, so the client filters the messages, too.
            if !request.message_types.include(message.message_type) {
                continue;
            }
            let at = MessageAt {
                position: message.position,
                message_id: Some(message.message_id),
            };
            if receive(message).is_break() {
                return Ok(at);
            }
            last = at;
        }
        // A feed that shows nothing after `after` has ended there.
        let has_ended = page.next <= after || page.next >= request.up_to;
        let next = if has_ended { request.up_to } else { page.next };
        Ok(if last.position == next {
            last
        } else {
            MessageAt {
                position: next,
                message_id: None,
            }
        })
    }

    fn failed(&self, doing: &str, failure: Failure) -> Error {
        let operation = format!("{doing} {}", self.server.url());
        if failure.is_transient() {
            Error::transient(operation, failure)
        } else {
            Error::permanent(operation, failure)
        }
    }
}

fn path(asked: Asked<'_>, types: TypeFilter<'_>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair(parameter::AFTER, &asked.after.to_string());
    query.append_pair(parameter::LIMIT, &asked.limit.to_string());
    let (parameter, names) = match types {
        TypeFilter::All => (parameter::TYPE, &[][..]),
        TypeFilter::Only(names) => (parameter::TYPE, names),
        TypeFilter::Except(names) => (parameter::EXCEPT_TYPE, names),
    };
    let length: usize = names.iter().map(|name| name.len()).sum();
    if names.len() <= MAX_TYPES && length <= MAX_FILTER {
        query.extend_pairs(names.iter().map(|name| (parameter, name)));
    }
    format!("/{}?{}", segment(asked.topic), query.finish())
}
