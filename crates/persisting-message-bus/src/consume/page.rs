use crate::consume::topic_page::TopicPage;
use crate::error::Error;
use crate::message::typed::Message;
use crate::position::Position;
use crate::store::place::Place;

/// Messages of one or several topics in the order of their positions, and the cursors on each topic
/// before and after them.
#[derive(Debug)]
pub struct Page<S> {
    pub(super) messages: Vec<Message<S>>,
    pub(super) spans: Vec<TopicProgress>,
    /// Whether there are no messages after the page for now.
    pub(super) caught_up: bool,
    /// The reason why the page ends there, if that is a message that cannot be handed out.
    pub(super) failure: Option<Error>,
}

/// The places of the consumer on one topic.
#[derive(Debug)]
pub(super) struct TopicProgress {
    pub(super) topic: &'static str,
    pub(super) start: Place,
    pub(super) end: Place,
    /// The positions of unknown messages that are skipped.
    pub(super) skipped: Vec<Position>,
}

/// A topic, the place on it, and the messages that were read after that place.
pub(super) type TopicRead<S> = (&'static str, Place, TopicPage<S>);

impl<S> Page<S> {
    /// Merges the messages that were read of each topic.
    ///
    /// A topic that has more messages than were read, or that fails, limits the other topics. The
    /// next page reads the messages after that limit.
    pub(super) fn merge(read: Vec<TopicRead<S>>, page_size: usize) -> Self {
        let bound = read.iter().filter_map(|(_, _, page)| page.bound()).min();
        let mut merged = Self {
            messages: Vec::new(),
            spans: Vec::new(),
            caught_up: bound.is_none(),
            failure: None,
        };
        for (topic, start, mut page) in read {
            if page.bound() == bound {
                merged.failure = merged.failure.or(page.failure.take());
            }
            if merged.messages.is_empty() {
                merged.messages = page.messages;
            } else {
                merged.messages.append(&mut page.messages);
            }
            merged.spans.push(TopicProgress {
                topic,
                start,
                end: page.end,
                skipped: page.skipped,
            });
        }
        if merged.spans.len() > 1 {
            merged.order_up_to(bound, page_size);
        }
        merged
    }

    /// Returns a page in which the consumer stays at its cursor, because the failure policy was
    /// applied to the first message of another page.
    pub(super) fn nothing(of: &Self) -> Self {
        let spans = of.spans.iter().map(|span| TopicProgress {
            topic: span.topic,
            start: span.start,
            end: span.start,
            skipped: Vec::new(),
        });
        Self {
            messages: Vec::new(),
            spans: spans.collect(),
            caught_up: false,
            failure: None,
        }
    }

    /// Ends the page before the message at a position of a topic. Returns whether that message is
    /// the first one.
    pub(super) fn end_before(&mut self, topic: &str, position: Position) -> bool {
        let is_it =
            |message: &Message<S>| message.topic() == topic && message.position() >= position;
        let Some(index) = self.messages.iter().position(is_it) else {
            return false;
        };
        self.messages.truncate(index);
        for span in &mut self.spans {
            span.end = last_of(&self.messages, span.topic).unwrap_or(span.start);
        }
        (self.caught_up, self.failure) = (false, None);
        index == 0
    }

    /// Sorts the messages by position. Removes the messages after the bound or beyond the page's
    /// size.
    fn order_up_to(&mut self, bound: Option<Position>, page_size: usize) {
        self.messages.sort_by_key(Message::position);
        let within = |message: &Message<S>| bound.is_none_or(|bound| message.position() <= bound);
        let count = self.messages.partition_point(within);
        if count > page_size {
            self.failure = None;
            self.caught_up = false;
        }
        let left_out = self.messages.split_off(count.min(page_size));
        for span in &mut self.spans {
            if last_of(&left_out, span.topic).is_some() {
                span.end = last_of(&self.messages, span.topic).unwrap_or(span.start);
                self.caught_up = false;
            }
        }
    }

    /// Returns whether there is nothing to handle and nothing to skip.
    pub(super) fn makes_no_progress(&self) -> bool {
        self.spans.iter().all(|span| span.start == span.end)
    }

    /// Returns whether the consumer leaves the start with this page, on all of its topics. A
    /// message that cannot be handed out counts, because it can be parked or skipped.
    pub(super) fn leaves_start(&self) -> bool {
        let is_at_start = self.spans.iter().all(|span| span.start.cursor.is_none());
        is_at_start && (!self.makes_no_progress() || self.failure.is_some())
    }

    /// Records that the consumer has left the start and stands before all messages.
    pub(super) fn mark_started(&mut self) {
        for span in &mut self.spans {
            span.start = Place::BEFORE_ALL;
            if span.end.cursor.is_none() {
                span.end = span.start;
            }
        }
    }

    /// Returns the places on the topics after the first `handled` messages.
    pub(super) fn places_after(
        &self,
        handled: usize,
    ) -> impl Iterator<Item = (&TopicProgress, Place)> {
        let all = handled >= self.messages.len();
        let messages = self.messages.get(..handled).unwrap_or(&self.messages);
        self.spans.iter().map(move |span| {
            if all {
                (span, span.end)
            } else {
                (span, last_of(messages, span.topic).unwrap_or(span.start))
            }
        })
    }

    /// Returns the cursor on a topic after the first `handled` messages.
    pub(super) fn cursor_on(&self, topic: &str, handled: usize) -> Option<Position> {
        let mut places = self.places_after(handled);
        let place = places.find(|(span, _)| span.topic == topic);
        place.and_then(|(_, place)| place.cursor)
    }

    /// Returns the number of unknown messages that are skipped with the first `handled` messages.
    pub(super) fn skipped_after(&self, handled: usize) -> usize {
        let skipped = |(span, place): (&TopicProgress, Place)| {
            span.skipped
                .iter()
                .filter(|at| Some(**at) <= place.cursor)
                .count()
        };
        self.places_after(handled).map(skipped).sum()
    }

    /// Returns the number of unknown messages of a topic after the first `handled` messages and
    /// before a position.
    pub(super) fn skipped_before(&self, topic: &str, position: Position, handled: usize) -> usize {
        let mut places = self.places_after(handled);
        let span = places.find(|(span, _)| span.topic == topic);
        span.map_or(0, |(span, place)| {
            let mut skipped = span.skipped.iter();
            skipped
                .by_ref()
                .filter(|at| Some(**at) > place.cursor && **at < position)
                .count()
        })
    }
}

fn last_of<S>(messages: &[Message<S>], topic: &str) -> Option<Place> {
    let mut latest_first = messages.iter().rev();
    let last = latest_first.find(|message| message.topic() == topic);
    last.map(|message| Place::after(message.position(), message.message_id()))
}

impl<S> TopicPage<S> {
    /// Returns the position up to which other topics' messages can be handled together with these,
    /// if there is a bound.
    fn bound(&self) -> Option<Position> {
        let read = self.end.position();
        match &self.failure {
            Some(error) => Some(error.position().map_or(read, Position::before)),
            None => (!self.caught_up).then_some(read),
        }
    }
}
