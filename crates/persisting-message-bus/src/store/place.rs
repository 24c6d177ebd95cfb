//! Where a consumer is on a topic, and the message by which that place is recognised.
//!
//! A position alone does not identify a message. After a database was restored, emptied or
//! replaced, another message can have the same position. A consumer therefore remembers the id of
//! the last message that it has passed, its *anchor*, and looks for it before it goes on.

use uuid::Uuid;

use crate::position::Position;

/// A position, and the id of the message there, if it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MessageAt {
    /// The position; [`Position::START`] if there is no message.
    pub position: Position,
    /// The id of the message at that position; `None` if it is unknown, or if there is no message.
    pub message_id: Option<Uuid>,
}

/// The topic's last message at or before a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anchor {
    /// Its position.
    pub position: Position,
    /// Its id.
    pub message_id: Uuid,
}

/// A cursor on a topic, and its anchor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// The cursor; `None` for a consumer that has not left the start.
    pub cursor: Option<Position>,
    /// The topic's last known message at or before the cursor; `None` if no message is known there.
    pub anchor: Option<Anchor>,
}

impl MessageAt {
    /// Returns the anchor, if the message is known.
    #[must_use]
    pub fn anchor(self) -> Option<Anchor> {
        self.message_id.map(|message_id| Anchor {
            position: self.position,
            message_id,
        })
    }

    /// Returns the id of the message at a position, if this is the last message at or before it.
    #[must_use]
    pub fn message_id_at(self, position: Position) -> Option<Uuid> {
        self.message_id.filter(|_| self.position == position)
    }

    /// Returns the place after this message, of a consumer that was at another place before it. An
    /// unknown message leaves the anchor.
    #[must_use]
    pub fn place_after(self, before: Place) -> Place {
        Place {
            cursor: Some(self.position),
            anchor: self.anchor().or(before.anchor),
        }
    }
}

impl Place {
    /// The place of a consumer that has left the start and stands before all messages.
    pub const BEFORE_ALL: Self = Self {
        cursor: Some(Position::START),
        anchor: None,
    };

    /// Returns the place after a known message.
    #[must_use]
    pub const fn after(position: Position, message_id: Uuid) -> Self {
        Self {
            cursor: Some(position),
            anchor: Some(Anchor {
                position,
                message_id,
            }),
        }
    }

    /// Returns a place whose anchor is unknown.
    #[must_use]
    pub const fn unanchored(cursor: Option<Position>) -> Self {
        Self {
            cursor,
            anchor: None,
        }
    }

    /// Returns the position after which the consumer continues.
    #[must_use]
    pub fn position(&self) -> Position {
        self.cursor.unwrap_or_default()
    }
}
