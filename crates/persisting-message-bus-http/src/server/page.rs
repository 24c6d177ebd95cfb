use std::ops::ControlFlow;
use std::sync::Arc;

use persisting_message_bus::backend::{MessageAt, MessageSource, PageRequest, StoredMessage};
use persisting_message_bus::{Error, Position};
use uuid::Uuid;

use super::problem::Problem;
use super::query::{Start, Types};
use super::topic::{Seen, Topic};
use crate::wire::write;

/// The request for a page.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) topic: Arc<Topic>,
    pub(super) start: Start,
    pub(super) limit: usize,
    pub(super) bytes: usize,
    pub(super) types: Types,
    pub(super) form: Form,
    /// Whether the answer must have the last position of all topics.
    pub(super) with_last: bool,
}

/// The form in which events are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Events are written as a JSON array.
    Batch,
    /// Events are written as server-sent events.
    Stream,
}

/// A page that was read.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) text: Vec<u8>,
    /// The page covers the topic up to this position.
    pub(super) next: Position,
    /// The id of the last event, if the page has events.
    pub(super) last: Option<Uuid>,
    /// The id of the message after which the page begins, if it is there.
    pub(super) after_id: Option<Uuid>,
    /// Whether the page ended because there was no room for more events.
    pub(super) is_full: bool,
    /// The last position of the source, for a client that asks for it.
    pub(super) last_position: Option<Position>,
    pub(super) seen: Seen,
}

impl Page {
    /// Returns whether the page is empty although there can be events after it. The source has
    /// passed over many messages of other types.
    pub(super) fn ends_on_the_way(&self) -> bool {
        self.last.is_none() && self.next < self.seen.head.position
    }
}

impl Wanted {
    /// Reads up to the given head; if there is none, reads the head first.
    pub(super) fn read(
        &self,
        source: &mut dyn MessageSource,
        seen: Option<Seen>,
    ) -> Result<Page, Problem> {
        let seen = match seen {
            Some(seen) => seen,
            None => self.topic.look(source)?,
        };
        let after = self.after(source, seen)?;
        let mut events = Events::new(self, after);
        let names = self.types.names();
        let request = PageRequest {
            topic: &self.topic.name,
            part: persisting_message_bus::backend::Part::Whole,
            message_types: self.types.of(&names),
            after,
            up_to: seen.head.position,
            limit: self.limit,
        };
        let read = if after < seen.head.position {
            source.read_page(&request, &mut |message| events.add(message))
        } else {
            Ok(request.end(None, 0))
        };
        let reaches_head = read
            .as_ref()
            .is_ok_and(|end| end.position >= seen.head.position);
        let ends_early = events.broken.is_some() || !reaches_head;
        let read_up_to = events.next;
        let mut page = events.finish(read, seen)?;
        // A client that has reached the head needs no check.
        if self.limit > 0 && after < seen.head.position {
            let must_end_at_head = !ends_early && !page.is_full;
            let is_short = must_end_at_head && read_up_to < seen.head.position;
            page.after_id = self.check(source, seen.head, after, is_short)?;
        } else if after == seen.head.position {
            page.after_id = seen.head.message_id;
        }
        if self.with_last {
            let last = source.last_position();
            let last = last.map_err(|error| Problem::reading(&self.topic.name, &error))?;
            page.last_position = Some(last);
        }
        Ok(page)
    }

    /// Checks that a page that does not contain the head, and should, was not read from an older
    /// state of the source. Returns the id of the message after which the page begins.
    fn check(
        &self,
        source: &mut dyn MessageSource,
        head: MessageAt,
        after: Position,
        is_short: bool,
    ) -> Result<Option<Uuid>, Problem> {
        let topic = &self.topic.name;
        let ids = source.ids_at(topic, [after, head.position]);
        let [after_id, at_head] = ids.map_err(|error| Problem::reading(topic, &error))?;
        // A page of some types need not contain the head.
        let is_stale = is_short && (self.types.names().is_empty() || at_head != head.message_id);
        if is_stale && head.message_id.is_some() {
            let detail = "the messages were read from an older state than the head: try again";
            return Err(Problem::unavailable(1, detail));
        }
        Ok(after_id)
    }

    /// Returns the position after which the page begins.
    fn after(&self, source: &mut dyn MessageSource, seen: Seen) -> Result<Position, Problem> {
        let topic = &self.topic.name;
        let failed = |error| Problem::reading(topic, &error);
        match self.start {
            Start::Beginning => Ok(Position::START),
            Start::Position(position) if position <= seen.head.position => Ok(position),
            Start::Position(position) => {
                let last = source.last_position().map_err(failed)?;
                if position <= last {
                    return Ok(position);
                }
                Err(Problem::not_found(format!(
                    "position {position} never existed: the last one is {last}; the feed's database may \
                     have been restored. Begin at the start, with neither lastEventId nor after, or \
                     after an event that exists"
                )))
            }
            Start::Event(id) => {
                let position = source.position_of(topic, id).map_err(failed)?;
                position.ok_or_else(|| {
                    Problem::not_found(format!(
                        "the event {id} is not on topic {topic:?}: it was pruned, or never existed. \
                         Continue after its sequence (after), or begin at the start without lastEventId"
                    ))
                })
            }
        }
    }
}

/// The events of a page while they are written.
struct Events<'a> {
    wanted: &'a Wanted,
    text: Vec<u8>,
    event: Vec<u8>,
    count: usize,
    next: Position,
    last: Option<Uuid>,
    broken: Option<Problem>,
}

impl<'a> Events<'a> {
    fn new(wanted: &'a Wanted, after: Position) -> Self {
        Self {
            wanted,
            text: Vec::new(),
            event: Vec::new(),
            count: 0,
            next: after,
            last: None,
            broken: None,
        }
    }

    fn add(&mut self, message: &StoredMessage<'_>) -> ControlFlow<()> {
        if let Err(cause) = self.write(message) {
            let (topic, position) = (&self.wanted.topic.name, message.position.get());
            self.broken = Some(Problem::broken(topic, position, &cause));
            return ControlFlow::Break(());
        }
        self.count += 1;
        self.next = message.position;
        self.last = Some(message.message_id);
        if self.text.len() >= self.wanted.bytes {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    fn write(&mut self, message: &StoredMessage<'_>) -> Result<(), write::Unservable> {
        let source = &self.wanted.topic.source;
        match self.wanted.form {
            Form::Batch => {
                self.text.push(if self.count == 0 { b'[' } else { b',' });
                write::event(&mut self.text, source, message).inspect_err(|_| {
                    self.text.pop();
                })
            }
            Form::Stream => {
                self.event.clear();
                write::event(&mut self.event, source, message)?;
                frame(&mut self.text, message.position, &self.event);
                Ok(())
            }
        }
    }

    /// Finishes the page. If a message is broken, the page serves the events before it, and ends
    /// there. After an error that can pass, the client asks again, because events can be missing
    /// between those that were read.
    fn finish(mut self, read: Result<MessageAt, Error>, seen: Seen) -> Result<Page, Problem> {
        let topic = &self.wanted.topic.name;
        let can_pass = matches!(&read, Err(error) if error.is_retryable());
        let read = read.map_err(|error| Problem::reading(topic, &error));
        let is_full = self.has_no_room();
        match self.broken.take().map_or(read, Err) {
            Err(problem) if self.count == 0 || can_pass => return Err(problem),
            Ok(end) if !is_full && self.wanted.limit > 0 => {
                self.next = self.next.max(end.position);
            }
            _ => {}
        }
        if self.wanted.form == Form::Batch {
            let end: &[u8] = if self.count == 0 { b"[]" } else { b"]" };
            self.text.extend_from_slice(end);
        }
        Ok(Page {
            text: self.text,
            next: self.next,
            last: self.last,
            after_id: None,
            is_full,
            last_position: None,
            seen,
        })
    }

    fn has_no_room(&self) -> bool {
        self.count > 0 && (self.count == self.wanted.limit || self.text.len() >= self.wanted.bytes)
    }
}

/// Writes a server-sent event. A line of such an event can end with any of these characters. In
/// JSON, they occur only as white space.
fn frame(out: &mut Vec<u8>, position: Position, event: &[u8]) {
    out.extend_from_slice(format!("id: {position}\n").as_bytes());
    for line in event.split(|byte| matches!(byte, b'\n' | b'\r')) {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    out.push(b'\n');
}
