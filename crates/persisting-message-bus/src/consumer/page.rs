use super::leases::Then;
use super::topic_reader::TopicPage;
use crate::{Error, Message, Position};

/// Messages of one or several topics in the order of their positions, and where the consumer stands
/// on each topic before and behind them.
#[derive(Debug)]
pub struct Page<S> {
    pub(super) messages: Vec<Message<S>>,
    pub(super) spans: Vec<Span>,
    /// Whether there is nothing behind the page for now.
    pub(super) caught_up: bool,
    /// Why the page ends where it does, if that is a message that cannot be handed out.
    pub(super) failure: Option<Error>,
    /// What becomes of the leases behind it.
    pub(super) then: Then,
}

/// Where the consumer stands on one topic: `None` at the start.
#[derive(Debug)]
pub(super) struct Span {
    pub(super) topic: &'static str,
    pub(super) start: Option<Position>,
    pub(super) end: Option<Position>,
    /// Where unknown messages are passed over.
    pub(super) skipped: Vec<Position>,
}

/// What was read of one topic, from the cursor on.
pub(super) type Read<S> = (&'static str, Option<Position>, TopicPage<S>);

impl<S> Page<S> {
    /// Merges what was read of each topic.
    ///
    /// A topic that has more than was read, or fails, holds the others back: what stands behind
    /// that is left for the next page.
    pub(super) fn merge(read: Vec<Read<S>>, page_size: usize) -> Self {
        let bound = read.iter().filter_map(|(_, _, page)| page.bound()).min();
        let mut merged = Self {
            messages: Vec::new(),
            spans: Vec::new(),
            caught_up: bound.is_none(),
            failure: None,
            then: Then::Release,
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
            merged.spans.push(Span {
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

    /// A page in which the consumer stays where it is: what stood first in another one was given up.
    pub(super) fn nothing(of: &Self) -> Self {
        let spans = of.spans.iter().map(|span| Span {
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
            then: Then::Release,
        }
    }

    /// Ends before the message at a position of a topic. Says whether it is the first one.
    pub(super) fn end_before(&mut self, topic: &str, position: Position) -> bool {
        let is_it =
            |message: &Message<S>| message.topic() == topic && message.position() >= position;
        let Some(index) = self.messages.iter().position(is_it) else {
            return false;
        };
        self.messages.truncate(index);
        for span in &mut self.spans {
            span.end = last_of(&self.messages, span.topic).or(span.start);
        }
        (self.caught_up, self.failure) = (false, None);
        index == 0
    }

    /// Puts the messages in order, and leaves those out that are behind the bound or the page's
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
                span.end = last_of(&self.messages, span.topic).or(span.start);
                self.caught_up = false;
            }
        }
    }

    /// Whether there is nothing to handle and nothing to pass over.
    pub(super) fn stands_still(&self) -> bool {
        self.spans.iter().all(|span| span.start == span.end)
    }

    /// Whether the consumer leaves the start, on all of its topics, with this page: also with a message
    /// that cannot be handed out, which may be given up.
    pub(super) fn leaves_start(&self) -> bool {
        let is_at_start = self.spans.iter().all(|span| span.start.is_none());
        is_at_start && (!self.stands_still() || self.failure.is_some())
    }

    /// The consumer has left the start, and stands before all messages.
    pub(super) fn mark_started(&mut self) {
        for span in &mut self.spans {
            span.start = Some(Position::START);
            span.end = span.end.or(span.start);
        }
    }

    /// The topics' cursors when the first `handled` messages are handled.
    pub(super) fn cursors_after(
        &self,
        handled: usize,
    ) -> impl Iterator<Item = (&Span, Option<Position>)> {
        let all = handled >= self.messages.len();
        let messages = self.messages.get(..handled).unwrap_or(&self.messages);
        self.spans.iter().map(move |span| {
            if all {
                (span, span.end)
            } else {
                (span, last_of(messages, span.topic).or(span.start))
            }
        })
    }

    /// How many unknown messages are passed over when the first `handled` messages are handled.
    pub(super) fn skipped_after(&self, handled: usize) -> usize {
        let skipped = |(span, cursor): (&Span, Option<Position>)| {
            span.skipped
                .iter()
                .filter(|at| Some(**at) <= cursor)
                .count()
        };
        self.cursors_after(handled).map(skipped).sum()
    }

    /// How many unknown messages of a topic stand in front of a position, and behind the first `handled`
    /// messages.
    pub(super) fn skipped_before(&self, topic: &str, position: Position, handled: usize) -> usize {
        let mut cursors = self.cursors_after(handled);
        let span = cursors.find(|(span, _)| span.topic == topic);
        span.map_or(0, |(span, cursor)| {
            let mut skipped = span.skipped.iter();
            skipped
                .by_ref()
                .filter(|at| Some(**at) > cursor && **at < position)
                .count()
        })
    }
}

fn last_of<S>(messages: &[Message<S>], topic: &str) -> Option<Position> {
    let mut latest_first = messages.iter().rev();
    let last = latest_first.find(|message| message.topic() == topic);
    last.map(Message::position)
}

impl<S> TopicPage<S> {
    /// Up to where other topics' messages may be handled together with these, if there is a bound.
    fn bound(&self) -> Option<Position> {
        let read = self.end.unwrap_or(Position::START);
        match &self.failure {
            Some(error) => Some(error.position().map_or(read, Position::before)),
            None => (!self.caught_up).then_some(read),
        }
    }
}
