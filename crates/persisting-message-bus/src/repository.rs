use std::ops::ControlFlow;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{Error, FlowMessage, Position, RawMessage, Sightings, StoredMessage};

/// Something that messages can be read from, one topic at a time, in the order of their positions.
pub trait MessageSource {
    /// Up to where the topic can be read: nothing of it can still be committed at or below that
    /// position.
    ///
    /// With it come `sightings` of the topic's publishers, which the reader keeps for its next look.
    ///
    /// # Errors
    ///
    /// When the source cannot be read, or cannot tell: it is a standby, or the call is inside a
    /// transaction that does not see what others commit meanwhile.
    fn horizon(&mut self, topic: &str, sightings: &mut Sightings) -> Result<Position, Error>;

    /// The highest position of the topic's messages up to the horizon; [`Position::START`] where
    /// there are none.
    ///
    /// # Errors
    ///
    /// When the source cannot be read.
    fn head(&mut self, topic: &str, horizon: Position) -> Result<Position, Error>;

    /// The safe head: the highest position of the topic's messages below which nothing can still be
    /// committed. While publishers are at work it may be lower for somebody who looks for the first
    /// time than for a reader who has looked before.
    ///
    /// # Errors
    ///
    /// Those of [`horizon`](Self::horizon) and [`head`](Self::head).
    fn safe_head(&mut self, topic: &str) -> Result<Position, Error> {
        let horizon = self.horizon(topic, &mut Sightings::default())?;
        self.head(topic, horizon)
    }

    /// The highest position that the source ever handed out, on any topic, also if that message was
    /// pruned since. A cursor beyond it cannot be right.
    ///
    /// # Errors
    ///
    /// When the source cannot be read.
    fn last_position(&mut self) -> Result<Position, Error>;

    /// The first of the topic's messages, up to a position, that was recorded at that time or later;
    /// `None` where there is none. Without an own way to find it, reads the topic from its start.
    ///
    /// # Errors
    ///
    /// Those of [`read_page`](Self::read_page).
    fn first_since(
        &mut self,
        topic: &str,
        time: DateTime<Utc>,
        up_to: Position,
    ) -> Result<Option<Position>, Error> {
        let mut first = None;
        read_all(self, topic, Position::START, up_to, &mut |stored| {
            if stored.published_at < time {
                return ControlFlow::Continue(());
            }
            first = Some(stored.position);
            ControlFlow::Break(())
        })?;
        Ok(first)
    }

    /// Where the message of that id stands on the topic; `None` where there is none. Without an own way to
    /// find it, reads the topic from its start.
    ///
    /// # Errors
    ///
    /// Those of [`read_page`](Self::read_page).
    fn position_of(&mut self, topic: &str, message_id: Uuid) -> Result<Option<Position>, Error> {
        let mut found = None;
        let (start, end) = (Position::START, Position::LAST);
        read_all(self, topic, start, end, &mut |stored| {
            if stored.message_id != message_id {
                return ControlFlow::Continue(());
            }
            found = Some(stored.position);
            ControlFlow::Break(())
        })?;
        Ok(found)
    }

    /// The messages of the topic behind a position, counted. Without an own way to count them, reads them
    /// all.
    ///
    /// # Errors
    ///
    /// Those of [`read_page`](Self::read_page).
    fn backlog(&mut self, topic: &str, after: Position) -> Result<Backlog, Error> {
        let mut backlog = Backlog::default();
        read_all(self, topic, after, Position::LAST, &mut |stored| {
            backlog.messages += 1;
            backlog.oldest.get_or_insert(stored.published_at);
            ControlFlow::Continue(())
        })?;
        Ok(backlog)
    }

    /// A number that is another one when somebody else may have committed something since; `None`
    /// where that cannot be told for less than it costs to look.
    ///
    /// It says nothing of what was committed through this source itself: where several share one
    /// connection, it has to be `None`. It is `None` without an implementation, and on all databases
    /// but SQLite.
    ///
    /// # Errors
    ///
    /// When the source cannot be read.
    fn changes(&mut self) -> Result<Option<i64>, Error> {
        Ok(None)
    }

    /// The messages of a flow, on all topics: those that name it, at most so many, lowest position
    /// first, and the one whose id it is. [`Flow::read`](crate::Flow::read) puts them in order.
    ///
    /// # Errors
    ///
    /// When the source cannot be read, or knows no flows, as without an implementation.
    fn flow_messages(
        &mut self,
        correlation_id: &str,
        limit: usize,
    ) -> Result<Vec<FlowMessage>, Error> {
        let doing = format!("reading up to {limit} messages of the flow \"{correlation_id}\"");
        Err(Error::repository(
            doing,
            "this source knows no flows",
            false,
        ))
    }

    /// Hands the messages of one page to `receive`, lowest position first, until it breaks.
    ///
    /// # Errors
    ///
    /// When the source cannot be read, or holds a row that is no message (a message id that is no
    /// UUID, a broken time); the error names the row's position. What was received before stands.
    fn read_page(
        &mut self,
        request: &PageRequest<'_>,
        receive: &mut dyn FnMut(&StoredMessage<'_>) -> ControlFlow<()>,
    ) -> Result<(), Error>;
}

/// Reads a topic page by page, until `receive` breaks.
fn read_all<M: MessageSource + ?Sized>(
    source: &mut M,
    topic: &str,
    mut after: Position,
    up_to: Position,
    receive: &mut dyn FnMut(&StoredMessage<'_>) -> ControlFlow<()>,
) -> Result<(), Error> {
    const LIMIT: usize = 1_000;
    loop {
        let mut received = 0;
        let mut goes_on = ControlFlow::Continue(());
        let request = PageRequest {
            topic,
            message_types: MessageTypes::All,
            after,
            up_to,
            limit: LIMIT,
        };
        source.read_page(&request, &mut |stored| {
            received += 1;
            after = stored.position;
            goes_on = receive(stored);
            goes_on
        })?;
        if goes_on.is_break() || received < LIMIT {
            return Ok(());
        }
    }
}

/// The messages of a topic behind a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backlog {
    /// How many there are.
    pub messages: u64,
    /// When the first of them was recorded; `None` where there is none.
    pub oldest: Option<DateTime<Utc>>,
}

/// Which messages make up a page.
#[derive(Debug, Clone, Copy)]
pub struct PageRequest<'a> {
    /// Messages of this topic only.
    pub topic: &'a str,
    /// Messages of these types only.
    pub message_types: MessageTypes<'a>,
    /// Messages after this position.
    pub after: Position,
    /// Messages up to and including this position: the safe head.
    pub up_to: Position,
    /// At most so many. Zero makes an empty page.
    pub limit: usize,
}

/// Which message types are asked for, by their wire names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageTypes<'a> {
    /// Every message.
    All,
    /// Messages of these types.
    Only(&'a [&'a str]),
    /// Messages of other types than these.
    Except(&'a [&'a str]),
}

impl MessageTypes<'_> {
    /// Whether messages of this type are asked for.
    #[must_use]
    pub fn include(&self, message_type: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains(&message_type),
            Self::Except(names) => !names.contains(&message_type),
        }
    }
}

/// Something that keeps messages.
pub trait MessageRepository: MessageSource {
    /// Appends the messages in their order, all of them or none; returns how many were new.
    ///
    /// A Diesel connection that is in a transaction makes them part of it.
    ///
    /// # Errors
    ///
    /// When a message id is already there or twice in `messages` (unless `duplicates` says
    /// [`Duplicates::Ignore`]), when a name is too long, when a message is larger than the
    /// repository takes ([`Error::is_too_large`]), or when the repository cannot be written.
    fn persist(&mut self, messages: &[RawMessage], duplicates: Duplicates) -> Result<usize, Error>;
}

/// What to do with a message whose id the repository already has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Duplicates {
    /// Persist nothing and say which message it was.
    #[default]
    Fail,
    /// Persist the others; the message that is already there stays as it is.
    Ignore,
}
