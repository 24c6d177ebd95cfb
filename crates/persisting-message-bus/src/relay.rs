use std::fmt;
use std::marker::PhantomData;

use crate::{
    Duplicates, Error, EventSet, HandlerError, Message, MessageConsumer, MessageRepository, Pages,
    RawMessage, Selection, StoredMessage, Topic, Transactional, Wanted,
};

/// A consumer that persists a topic's messages in another repository: see [`relay`].
pub type Relay<T, C> = MessageConsumer<AsStored<T>, Transactional<C, Pages<Persist<T, C>>>>;

/// What a relay does with a page.
pub type Persist<T, C> = fn(&mut C, &[Message<AsStored<T>>]) -> Result<(), HandlerError>;

/// Carries the messages of a topic from one place to another, as they are: with their ids, types,
/// versions, headers and times, those too that this program does not know. They get new positions, in the
/// same order.
///
/// It is a consumer like others, which a [`Runner`](crate::Runner) keeps running, on a
/// [`MessageBus`](crate::MessageBus) of the two: it reads from `messages`, and persists in `state`, where
/// its cursor is stored in the same transaction. A message whose id is there is left alone; so doing it
/// twice, or two relays at once, or one without its cursor, changes nothing.
///
/// ```
/// use persisting_message_bus::memory::InMemoryMessageBus;
/// use persisting_message_bus::{MessageBus, MessageDispatcher, Topic, relay};
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// # struct OrderPlaced {}
/// # #[derive(Topic)]
/// # #[topic(name = "orders")]
/// # enum Orders { OrderPlaced(OrderPlaced) }
///
/// let (mut edge, centre) = (InMemoryMessageBus::default(), InMemoryMessageBus::default());
/// MessageDispatcher::<Orders>::new().dispatch(&mut edge, &OrderPlaced {})?;
///
/// let mut to_centre = relay::<Orders, InMemoryMessageBus>("edge-to-centre");
/// let mut both = MessageBus::new(edge.clone(), centre.clone());
/// assert_eq!(to_centre.handle_new_messages(&mut both)?, 1);
/// assert_eq!(centre.messages.messages(), edge.messages.messages());
/// # Ok::<(), persisting_message_bus::Error>(())
/// ```
#[must_use]
pub fn relay<T, C>(name: impl Into<String>) -> Relay<T, C>
where
    T: Topic,
    C: MessageRepository,
{
    let persist: Persist<T, C> = |target, messages| {
        let messages: Vec<_> = messages
            .iter()
            .map(|message| message.payload().0.clone())
            .collect();
        target.persist(&messages, Duplicates::Ignore)?;
        Ok(())
    };
    MessageConsumer::transactional_pages(name, persist)
}

/// The messages of the topic `T`, all of them, as they are stored.
pub struct AsStored<T>(
    /// The message.
    pub RawMessage,
    PhantomData<fn() -> T>,
);

impl<T: Topic> EventSet for AsStored<T> {
    const SELECTIONS: &'static [Selection] = &[Selection {
        topic: T::NAME,
        wanted: Wanted::All,
    }];

    fn decode(message: &StoredMessage<'_>) -> Result<Self, Error> {
        Ok(Self(message.to_raw(), PhantomData))
    }

    fn message_type(&self) -> &str {
        &self.0.message_type
    }
}

impl<T> fmt::Debug for AsStored<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("AsStored").field(&self.0).finish()
    }
}
