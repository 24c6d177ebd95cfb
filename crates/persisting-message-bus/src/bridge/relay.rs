use std::fmt;
use std::marker::PhantomData;

use crate::consume::consumer::MessageConsumer;
use crate::consume::errors::HandlerError;
use crate::consume::hand_over::PerPage;
use crate::consume::transactional::Transactional;
use crate::error::Error;
use crate::message::raw::{RawMessage, StoredMessage};
use crate::message::topic::{EventSet, Topic, TopicFilter, WantedMessages};
use crate::message::typed::Message;
use crate::store::repository::{MessageRepository, OnDuplicate};

/// A consumer that persists a topic's messages in another repository: see [`relay`].
pub type Relay<T, C> = MessageConsumer<AsStored<T>, Transactional<C, PerPage<Persist<T, C>>>>;

/// The handler of a relay: it persists a page.
pub type Persist<T, C> = fn(&mut C, &[Message<AsStored<T>>]) -> Result<(), HandlerError>;

/// Creates a consumer that copies the messages of a topic from one place to another.
///
/// Ids, types, versions, headers and times stay the same. The relay also copies messages that this
/// program does not know, and messages of retired types. The copies get new positions, in the same order.
///
/// Run the relay like any other consumer, for example with a [`Runner`](crate::Runner), on a
/// [`MessageBus`](crate::MessageBus) that joins both places. It reads from `messages` and persists
/// in `state`, where its cursor is stored in the same transaction. A message whose id the target
/// already has is left unchanged. Copying twice, running two relays at once, or losing the cursor
/// therefore changes nothing.
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
/// assert_eq!(to_centre.handle_page(&mut both)?, 1);
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
        target.persist(&messages, OnDuplicate::Ignore)?;
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
    const SELECTIONS: &'static [TopicFilter] = &[TopicFilter {
        topic: T::NAME,
        wanted: WantedMessages::All,
        retired: &[],
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
