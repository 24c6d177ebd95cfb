//! Reads messages.

use std::ops::ControlFlow;

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use crate::error::Error;
use crate::message::raw::StoredMessage;
use crate::message::slot::Slot;
use crate::message::stored_headers::causation_id;
use crate::position::Position;
use crate::store::ahead::Ahead;
use crate::store::page_request::{PageRequest, TypeFilter};
use crate::store::part::Part;
use crate::store::place::MessageAt;
use crate::store::slot_observations::SlotObservations;

/// A source of messages, which are read one topic at a time, in the order of their positions.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a source of messages",
    label = "not a connection",
    note = "pass a Diesel connection: from a pool, `&mut pool.get()?`; from a mutex, `&mut *guard`; with other table names, `&mut schema.bind(&mut connection)`",
    note = "for `PgConnection`, `SqliteConnection` or `MysqlConnection`, turn on the feature `postgres`, `sqlite` or `mysql` of `persisting-message-bus`; for pooled connections, also `r2d2`",
    note = "for a connection of diesel-async, run the consumer with `persisting_message_bus::asynchronous::Runner`"
)]
pub trait MessageSource {
    /// Returns the topic's high-water mark: the position at and below which no message of the topic
    /// can still be committed.
    ///
    /// `observations` is the reader's memory of the topic's publishers. The reader must keep it for
    /// its next poll.
    ///
    /// # Errors
    ///
    /// If the source cannot be read, or cannot determine the mark: it is a standby, or the call is
    /// inside a transaction that does not see concurrent commits.
    fn high_water_mark(
        &mut self,
        topic: &str,
        observations: &mut SlotObservations,
    ) -> Result<Position, Error>;

    /// Returns the topic's high-water mark, or `None` if no message of the topic after the position
    /// `after` is visible.
    ///
    /// An idle consumer asks this, so that a source can answer `None` without the work that
    /// [`high_water_mark`](Self::high_water_mark) costs. `None` is no high-water mark: messages at
    /// or before `after` can still be committed. The source makes the same checks as for a
    /// high-water mark. The default implementation always returns the high-water mark.
    ///
    /// # Errors
    ///
    /// Those of [`high_water_mark`](Self::high_water_mark).
    fn high_water_mark_beyond(
        &mut self,
        topic: &str,
        _after: Position,
        observations: &mut SlotObservations,
    ) -> Result<Option<Position>, Error> {
        self.high_water_mark(topic, observations).map(Some)
    }

    /// Returns the topic's last message at or below the high-water mark. If there is none, the
    /// position is [`Position::START`].
    ///
    /// # Errors
    ///
    /// If the source cannot be read.
    fn head(&mut self, topic: &str, high_water_mark: Position) -> Result<MessageAt, Error>;

    /// Returns the head of a page's topic up to the end of the page, as [`head`](Self::head) does, and the
    /// first messages of the page if the source can ask for both at once, with the id of the message
    /// after which the page begins ([`Ahead::preceded_by`]). The page is of all types and parts. The
    /// default implementation returns the head only.
    ///
    /// # Errors
    ///
    /// Those of [`head`](Self::head). Messages that cannot be read are left out: the page tells the error.
    fn head_and_ahead(
        &mut self,
        page: &PageRequest<'_>,
    ) -> Result<(MessageAt, Option<Ahead>), Error> {
        Ok((self.head(page.topic, page.up_to)?, None))
    }

    /// Returns the id of the topic's message at a position; `None` if there is no message. The
    /// default implementation reads the message.
    ///
    /// # Errors
    ///
    /// Those of [`read_page`](Self::read_page).
    fn id_at(&mut self, topic: &str, position: Position) -> Result<Option<Uuid>, Error> {
        let mut id = None;
        let request = PageRequest {
            topic,
            part: Part::Whole,
            message_types: TypeFilter::All,
            after: position.before(),
            up_to: position,
            limit: 1,
        };
        self.read_page(&request, &mut |stored| {
            id = Some(stored.message_id);
            ControlFlow::Break(())
        })?;
        Ok(id)
    }

    /// Returns the ids of the topic's messages at two positions, as [`id_at`](Self::id_at) does, in
    /// one step where the source can do that.
    ///
    /// # Errors
    ///
    /// Those of [`read_page`](Self::read_page).
    fn ids_at(
        &mut self,
        topic: &str,
        positions: [Position; 2],
    ) -> Result<[Option<Uuid>; 2], Error> {
        let [one, other] = positions;
        Ok([self.id_at(topic, one)?, self.id_at(topic, other)?])
    }

    /// Checks that the source can read a part of a topic. The default implementation can read whole
    /// topics only.
    ///
    /// # Errors
    ///
    /// If the source cannot read it.
    fn check_part(&mut self, part: Part) -> Result<(), Error> {
        match part {
            Part::Whole => Ok(()),
            Part::Keys(_) | Part::Positions(_) => {
                let problem = "this source can only be read as a whole; run the consumer without \
                    `ParallelConsumer`";
                Err(Error::permanent("reading a part of a topic", problem))
            }
        }
    }

    /// Returns the slots of the keys of the topic's messages after a position, lowest position
    /// first, at most `limit`, with their positions. So a consumer that is divided knows which of its
    /// segments have new messages. The default implementation knows no keys and returns
    /// [`Slot::NONE`] for all.
    ///
    /// # Errors
    ///
    /// Those of [`read_page`](Self::read_page).
    fn slots_after(
        &mut self,
        topic: &str,
        after: Position,
        up_to: Position,
        limit: usize,
    ) -> Result<Vec<(Position, Slot)>, Error> {
        let mut slots = Vec::new();
        let request = PageRequest {
            topic,
            part: Part::Whole,
            message_types: TypeFilter::All,
            after,
            up_to,
            limit,
        };
        self.read_page(&request, &mut |stored| {
            slots.push((stored.position, Slot::NONE));
            ControlFlow::Continue(())
        })?;
        Ok(slots)
    }

    /// Returns a name for the source, if it is not the database that keeps the consumer state.
    /// Cursors are stored with the name, so that a consumer notices that it reads from another
    /// source. The default implementation returns `None`.
    fn source_name(&self) -> Option<String> {
        None
    }

    /// Returns the topic's head: the highest position of its messages at or below the current
    /// high-water mark.
    ///
    /// While transactions are in flight, a new reader may see a lower value than one that has read
    /// before.
    ///
    /// # Errors
    ///
    /// Those of [`high_water_mark`](Self::high_water_mark) and [`head`](Self::head).
    fn current_head(&mut self, topic: &str) -> Result<Position, Error> {
        let high_water_mark = self.high_water_mark(topic, &mut SlotObservations::default())?;
        self.head(topic, high_water_mark).map(|head| head.position)
    }

    /// Returns the highest position that the source has ever assigned, on any topic, even if the
    /// message at that position has since been pruned. A cursor after that position is invalid.
    ///
    /// # Errors
    ///
    /// If the source cannot be read.
    fn last_position(&mut self) -> Result<Position, Error>;

    /// Returns the position of the message with that id on the topic; `None` if there is none. The
    /// default implementation reads the topic from its start.
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

    /// Counts the topic's messages after a position. The default implementation reads all of them.
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

    /// Returns a token that changes when another connection may have committed; `None` if the
    /// source has no token that is cheaper to read than a poll.
    ///
    /// The token does not cover commits through this source itself. A source that shares its
    /// connection with others must therefore return `None`. The default implementation returns
    /// `None`; of the databases, only SQLite has a token.
    ///
    /// # Errors
    ///
    /// If the source cannot be read.
    fn change_token(&mut self) -> Result<Option<i64>, Error> {
        Ok(None)
    }

    /// Returns the messages of a flow, on all topics: at most `limit` messages whose correlation id
    /// is `correlation_id`, lowest position first. If another message, which started the flow, has
    /// this id, the result also contains that message, beyond the limit. A flow from outside is found
    /// by the id that [`Correlation::of_flow`](crate::Correlation::of_flow) received, and by the
    /// stored form of that id.
    /// [`Flow::read`](crate::operate::Flow::read) sorts the result.
    ///
    /// # Errors
    ///
    /// If the source cannot be read, or does not support flows. The default implementation supports
    /// none.
    fn flow_messages(
        &mut self,
        correlation_id: &str,
        limit: usize,
    ) -> Result<Vec<FlowMessage>, Error> {
        let doing = format!("reading up to {limit} messages of the flow \"{correlation_id}\"");
        Err(Error::permanent(
            doing,
            "this source does not support flows",
        ))
    }

    /// Abandons the connection to the source, because another one may not have its last error: see
    /// [`Error::may_be_of_connection`]. A pool that the connection came from must not hand it out
    /// again. The default implementation does nothing.
    ///
    /// A Diesel connection is marked as broken, as after a failed rollback, so a pool of r2d2 closes
    /// it. Diesel begins no transaction on it any more.
    ///
    /// ```
    /// # #[cfg(feature = "sqlite")] {
    /// use diesel::{Connection, SqliteConnection};
    /// use persisting_message_bus::backend::MessageSource;
    ///
    /// let mut connection = SqliteConnection::establish(":memory:")?;
    /// connection.abandon_source();
    /// assert!(connection.transaction(|_| diesel::QueryResult::Ok(())).is_err());
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn abandon_source(&mut self) {}

    /// Passes the messages of one page to `receive`, lowest position first, until it breaks. Returns
    /// the end of the page: `receive` got all selected messages up to that position. Its id is that of
    /// the message there, if it is known.
    ///
    /// A page ends at `up_to`, or earlier: at the message after which `receive` broke, at the last
    /// message if the page is full, or where the source would pass over too many messages of other
    /// types. So an empty page is not the end of the topic, but a page always ends after `after`.
    ///
    /// # Errors
    ///
    /// If the source cannot be read, or holds a row without a valid message (a message id that is
    /// not a UUID, a broken time). The error names the row's position. Messages that were received
    /// before the error remain valid, unless the page was read from an older state of the source: then
    /// other messages can be missing between them.
    fn read_page(
        &mut self,
        request: &PageRequest<'_>,
        receive: &mut dyn FnMut(&StoredMessage<'_>) -> ControlFlow<()>,
    ) -> Result<MessageAt, Error>;
}

/// Reads a topic page by page, until `receive` breaks.
pub(crate) fn read_all<M: MessageSource + ?Sized>(
    source: &mut M,
    topic: &str,
    mut after: Position,
    up_to: Position,
    receive: &mut dyn FnMut(&StoredMessage<'_>) -> ControlFlow<()>,
) -> Result<(), Error> {
    const LIMIT: usize = 1_000;
    while after < up_to {
        let mut goes_on = ControlFlow::Continue(());
        let request = PageRequest {
            topic,
            part: Part::Whole,
            message_types: TypeFilter::All,
            after,
            up_to,
            limit: LIMIT,
        };
        let end = source.read_page(&request, &mut |stored| {
            goes_on = receive(stored);
            goes_on
        })?;
        if goes_on.is_break() {
            break;
        }
        after = end.position;
    }
    Ok(())
}

/// The messages of a topic after a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backlog {
    /// Their number.
    pub messages: u64,
    /// The time at which the first of them was recorded; `None` if there is none.
    pub oldest: Option<DateTime<Utc>>,
}

/// A message in a flow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FlowMessage {
    /// Its position.
    pub position: Position,
    /// Its topic.
    pub topic: String,
    /// The wire name of its type.
    pub message_type: String,
    /// Its id.
    pub message_id: Uuid,
    /// The id of the message that is its direct cause.
    pub causation_id: Option<Uuid>,
    /// The time of recording.
    pub published_at: DateTime<Utc>,
    /// The number of causes before it in the flow; zero if its cause is not in the flow.
    pub depth: usize,
}

impl FlowMessage {
    pub(crate) fn of(stored: &StoredMessage<'_>) -> Self {
        Self {
            position: stored.position,
            topic: stored.topic.to_owned(),
            message_type: stored.message_type.to_owned(),
            message_id: stored.message_id,
            causation_id: causation_id(stored.headers),
            published_at: stored.published_at,
            depth: 0,
        }
    }
}
