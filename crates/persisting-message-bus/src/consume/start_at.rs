use chrono::{DateTime, Utc};

use crate::position::Position;

/// The place where a consumer continues after a [reset](crate::MessageConsumer::reset), or where it
/// [starts](crate::MessageConsumer::start_at) if it has never run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartAt {
    /// Before all messages, as if the consumer had never run: the before-replay hook is called
    /// again.
    Start,
    /// After the messages that are there now.
    End,
    /// After the message at this position.
    Position(Position),
    /// Before the first message that was recorded at this time or later, or after all messages if
    /// there is none.
    ///
    /// The range of positions is halved until it is short, and its rest is read. This finds the first
    /// such message if each message was recorded no more than a minute earlier than any message
    /// before it.
    Time(DateTime<Utc>),
}
