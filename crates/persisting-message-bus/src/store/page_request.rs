//! Which messages a source reads.

use crate::position::Position;
use crate::store::part::Part;
use crate::store::place::MessageAt;

/// Which messages make up a page.
#[derive(Debug, Clone, Copy)]
pub struct PageRequest<'a> {
    /// Only messages of this topic.
    pub topic: &'a str,
    /// Only messages of this part of the topic.
    pub part: Part,
    /// Only messages of these types.
    pub message_types: TypeFilter<'a>,
    /// Only messages after this position.
    pub after: Position,
    /// Only messages up to and including this position: the topic's head.
    pub up_to: Position,
    /// The maximum number of messages. Zero returns an empty page that ends where it begins.
    pub limit: usize,
}

impl PageRequest<'_> {
    /// Returns the end of a page of so many messages, of which `last` is the last one, if the source
    /// has read all of the range that the page had room for.
    #[must_use]
    pub fn end(&self, last: Option<MessageAt>, messages: usize) -> MessageAt {
        let start = MessageAt {
            position: self.after.min(self.up_to),
            message_id: None,
        };
        match last {
            Some(last) if messages >= self.limit || last.position >= self.up_to => last,
            _ if self.limit == 0 => start,
            _ => MessageAt {
                position: self.up_to,
                message_id: None,
            },
        }
    }
}

/// Selects message types by their wire names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TypeFilter<'a> {
    /// Every message.
    All,
    /// Messages of these types.
    Only(&'a [&'a str]),
    /// Messages of other types than these.
    Except(&'a [&'a str]),
}

impl TypeFilter<'_> {
    /// Returns `true` if messages of this type are selected.
    #[must_use]
    pub fn include(&self, message_type: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains(&message_type),
            Self::Except(names) => !names.contains(&message_type),
        }
    }
}
