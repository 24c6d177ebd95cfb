//! Persists messages.

use crate::error::Error;
use crate::message::raw::RawMessage;
use crate::store::source::MessageSource;

/// A store of messages.
pub trait MessageRepository: MessageSource {
    /// Appends the messages in their order, all of them or none; returns how many were new.
    ///
    /// A Diesel connection that is in a transaction makes them part of it.
    ///
    /// # Errors
    ///
    /// - [`Error::is_duplicate`] if a message id is already there, or is twice in `messages`,
    ///   unless `duplicates` is [`OnDuplicate::Ignore`].
    /// - [`Error::is_invalid_name`] if a name is too long.
    /// - [`Error::is_too_large`] if a message is larger than the repository can store.
    /// - If the repository cannot be written.
    fn persist(&mut self, messages: &[RawMessage], duplicates: OnDuplicate)
    -> Result<usize, Error>;
}

/// What to do with a message whose id the repository already has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnDuplicate {
    /// Persists nothing and names the duplicate message.
    #[default]
    Fail,
    /// Persists the other messages; the stored message stays unchanged.
    Ignore,
}
