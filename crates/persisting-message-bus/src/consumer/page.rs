use std::ops::ControlFlow;

use crate::{Error, EventSet, Message, MessageSource, PageRequest, Position, Selection, Wanted};

/// Reads pages of what an event set wants to see of one topic.
#[derive(Debug)]
pub(super) struct TopicReader {
    pub(super) topic: &'static str,
    /// The names and aliases that the repository is asked for; `None` asks for all.
    message_types: Option<Vec<&'static str>>,
}

/// Decoded messages, and where the consumer stands when it has handled them.
#[derive(Debug)]
pub struct Page<S> {
    /// The cursor before the page; `None` at the start.
    pub(super) start: Option<Position>,
    pub(super) messages: Vec<Message<S>>,
    /// The cursor behind the whole page: beyond what was not wanted, in front of what failed.
    pub(super) end: Option<Position>,
    /// Why the page ends where it does, if that is a message that cannot be handed out.
    pub(super) failure: Option<Error>,
}

impl TopicReader {
    pub(super) fn new(selection: &'static Selection) -> Self {
        let message_types = match selection.wanted {
            Wanted::All => None,
            Wanted::Only(messages) => Some(
                messages
                    .iter()
                    .flat_map(|message| {
                        std::iter::once(message.name).chain(message.aliases.iter().copied())
                    })
                    .collect(),
            ),
        };
        Self {
            topic: selection.topic,
            message_types,
        }
    }

    pub(super) fn read<S, B>(
        &self,
        bus: &mut B,
        start: Option<Position>,
        page_size: usize,
    ) -> Result<Page<S>, Error>
    where
        S: EventSet,
        B: MessageSource + ?Sized,
    {
        let after = start.unwrap_or(Position::START);
        let safe_head = bus.safe_head(self.topic)?;
        self.check_cursor(bus, after, safe_head)?;
        if after >= safe_head {
            return Ok(Page::empty(start));
        }
        let mut messages = Vec::new();
        let mut failure = None;
        let request = PageRequest {
            topic: self.topic,
            message_types: self.message_types.as_deref(),
            after,
            up_to: safe_head,
            limit: page_size,
        };
        let read = bus.read_page(
            &request,
            &mut |stored| match Message::decode(self.topic, stored) {
                Ok(message) => {
                    messages.push(message);
                    ControlFlow::Continue(())
                }
                Err(error) => {
                    failure = Some(error);
                    ControlFlow::Break(())
                }
            },
        );
        let failure = failure.or(read.err());
        let last = messages.last().map(Message::position);
        let end = match failure.is_none() && messages.len() < page_size {
            true => Some(safe_head),
            false => last.or(start),
        };
        Ok(Page {
            start,
            messages,
            end,
            failure,
        })
    }

    /// A cursor beyond the last message is right only if those messages were pruned since.
    fn check_cursor<B>(&self, bus: &mut B, cursor: Position, head: Position) -> Result<(), Error>
    where
        B: MessageSource + ?Sized,
    {
        if (Position::START..=head).contains(&cursor) {
            return Ok(());
        }
        let last = bus.last_position()?;
        match (Position::START..=last).contains(&cursor) {
            true => Ok(()),
            false => Err(Error::broken_cursor(self.topic, cursor, last)),
        }
    }
}

impl<S> Page<S> {
    fn empty(start: Option<Position>) -> Self {
        Self {
            start,
            messages: Vec::new(),
            end: start,
            failure: None,
        }
    }

    /// Whether there is nothing to handle and nothing to pass over.
    pub(super) fn stands_still(&self) -> bool {
        self.start == self.end
    }

    /// Whether the consumer leaves the start with this page.
    pub(super) fn leaves_start(&self) -> bool {
        self.start.is_none() && !self.stands_still()
    }

    /// The cursor when the first `handled` messages are handled, of which there is at least one or
    /// the page has none.
    pub(super) fn cursor_after(&self, handled: usize) -> Option<Position> {
        if handled == self.messages.len() {
            return self.end;
        }
        let last = handled
            .checked_sub(1)
            .and_then(|index| self.messages.get(index));
        last.map(Message::position).or(self.start)
    }
}
