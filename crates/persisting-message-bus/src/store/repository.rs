//! Persists messages.

use crate::error::Error;
use crate::message::raw::RawMessage;
use crate::message::storable::Dispatched;

/// A store of messages.
///
/// A repository need not be a source. A collector, for example, implements one method:
///
/// ```
/// use persisting_message_bus::backend::{MessageRepository, RawMessage};
/// use persisting_message_bus::{Error, MessageDispatcher, OnDuplicate, Topic};
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// # struct OrderPlaced {}
/// # #[derive(Topic)]
/// # #[topic(name = "orders")]
/// # enum Orders { OrderPlaced(OrderPlaced) }
///
/// #[derive(Default)]
/// struct Collector(Vec<RawMessage>);
///
/// impl MessageRepository for Collector {
///     fn persist(&mut self, messages: &[RawMessage], _: OnDuplicate) -> Result<usize, Error> {
///         self.0.extend_from_slice(messages);
///         Ok(messages.len())
///     }
/// }
///
/// let mut collector = Collector::default();
/// MessageDispatcher::<Orders>::new().dispatch(&mut collector, &OrderPlaced {})?;
/// assert_eq!(collector.0[0].message_type, "OrderPlaced");
/// # Ok::<(), Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a repository of messages",
    label = "not a connection",
    note = "pass a Diesel connection: from a pool, `&mut pool.get()?`; from a mutex, `&mut *guard`; with other table names, `&mut schema.bind(&mut connection)`",
    note = "for `PgConnection`, `SqliteConnection` or `MysqlConnection`, turn on the feature `postgres`, `sqlite` or `mysql` of `persisting-message-bus`; for pooled connections, also `r2d2`",
    note = "for a connection of diesel-async, use `persisting_message_bus::asynchronous::MessageDispatcher`"
)]
pub trait MessageRepository {
    /// Appends the messages in their order, all of them or none; returns how many were new.
    ///
    /// A Diesel connection that is in a transaction makes them part of it.
    ///
    /// # Errors
    ///
    /// - [`Error::is_duplicate`] if a message id is already there, or is twice in `messages`,
    ///   unless `duplicates` is [`OnDuplicate::Ignore`].
    /// - [`Error::is_invalid_name`] if a name or a correlation id is empty, is longer than
    ///   [`MAX_NAME_LENGTH`](crate::backend::MAX_NAME_LENGTH) characters, contains a control
    ///   character, or starts or ends with white space.
    /// - [`Error::is_too_large`] if a message is larger than the repository can store.
    /// - If a value of a message is outside of the limits that [`RawMessage`] states. All
    ///   repositories of this library refuse the same messages, so that each of them can be copied
    ///   to any other repository.
    /// - If the repository cannot be written.
    fn persist(&mut self, messages: &[RawMessage], duplicates: OnDuplicate)
    -> Result<usize, Error>;

    /// Says that the connection is of no use any more, so that a pool does not hand it out again. Default:
    /// does nothing.
    fn abandon_repository(&mut self) {}

    /// Appends messages whose JSON a dispatcher has written, so that it need not be checked. A
    /// repository that does not make this difference keeps the default implementation.
    ///
    /// # Errors
    ///
    /// Those of [`persist`](Self::persist).
    #[doc(hidden)]
    fn persist_dispatched(
        &mut self,
        messages: Dispatched<'_>,
        duplicates: OnDuplicate,
    ) -> Result<usize, Error> {
        self.persist(messages.unchecked(), duplicates)
    }
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
