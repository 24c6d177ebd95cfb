use std::borrow::Cow;

use crate::error::Error;
use crate::message::raw::StoredMessage;

/// A closed set of message types under one name. Implemented by
/// [`derive(Topic)`](macro@crate::Topic).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a topic",
    label = "not a topic",
    note = "a topic is an enum of messages: `#[derive(Topic)] #[topic(name = \"...\")] enum {Self} {{ ... }}`"
)]
pub trait Topic: EventSet {
    /// The topic itself. An event set names its topic through this type, so that a type that is not
    /// a topic causes one error instead of one for each message.
    #[doc(hidden)]
    type Registry;

    /// The name under which its messages are kept.
    const NAME: &'static str;

    /// Its message types, in the order of the variants.
    const MESSAGES: &'static [MessageDescriptor];

    /// The names of its retired types, in the order of the attributes: message types that it once
    /// had, and that no program dispatches any more.
    const RETIRED: &'static [&'static str];

    /// Returns the message in the enum as JSON; an unknown message as it was stored.
    #[doc(hidden)]
    fn encode(&self) -> Result<String, serde_json::Error>;

    /// Returns the index in [`MESSAGES`](Self::MESSAGES) of the type with this name or alias.
    fn index_of(message_type: &str) -> Option<usize>;
}

/// One message type of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageDescriptor {
    /// The stable wire name under which new messages are kept.
    pub name: &'static str,
    /// The names under which older messages were kept.
    pub aliases: &'static [&'static str],
    /// The schema version of new messages; the first is 1.
    pub version: u32,
    /// The field or function that has its key, as the topic writes it: `order_id`, `order.id` or
    /// `fn key_of_order`. `None` if the topic has no key.
    pub key: Option<&'static str>,
}

impl MessageDescriptor {
    /// Returns the name and the aliases.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }
}

/// A message that can be dispatched on the topic `T`: each of its message structs, and the topic's
/// enum itself. Implemented by [`derive(Topic)`](macro@crate::Topic).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a message of topic `{T}`",
    label = "not a message of topic `{T}`",
    note = "to put a message struct on the topic, add a variant around it to the enum: `enum {T} {{ ..., MessageType({Self}) }}`",
    note = "the enum of a topic with an `#[message(unknown)]` variant cannot be dispatched, only its message structs can"
)]
pub trait MessageOf<T: Topic> {
    /// Returns its type's entry in [`Topic::MESSAGES`].
    fn descriptor(&self) -> &'static MessageDescriptor;

    /// Returns the message as JSON.
    ///
    /// # Errors
    ///
    /// If its `Serialize` fails, or if it has a map whose keys JSON cannot express.
    fn to_payload(&self) -> Result<String, serde_json::Error>;

    /// Returns the text of the message's key: see [`MessageKey`](crate::MessageKey). `None` for a
    /// message without a key.
    fn key(&self) -> Option<Cow<'_, str>> {
        None
    }
}

impl<T: Topic, M: MessageOf<T> + ?Sized> MessageOf<T> for &M {
    fn descriptor(&self) -> &'static MessageDescriptor {
        (**self).descriptor()
    }

    fn to_payload(&self) -> Result<String, serde_json::Error> {
        (**self).to_payload()
    }

    fn key(&self) -> Option<Cow<'_, str>> {
        (**self).key()
    }
}

/// The messages that a consumer receives: a whole topic, or a subset of its messages. Implemented
/// by [`derive(Topic)`](macro@crate::Topic) and [`derive(EventSet)`](macro@crate::EventSet).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither a topic nor an event set",
    label = "not something a consumer can read",
    note = "write `#[derive(Topic)]` or `#[derive(EventSet)]` on the enum"
)]
pub trait EventSet: Sized {
    /// The topics that it reads, with a filter for each.
    const SELECTIONS: &'static [TopicFilter];

    /// Decodes a stored message as the variant for its type.
    ///
    /// # Errors
    ///
    /// If the message's type is not in this set, or its payload does not decode. The error names
    /// topic, position, message id and type.
    fn decode(message: &StoredMessage<'_>) -> Result<Self, Error>;

    /// Returns the wire name of this message's type.
    fn message_type(&self) -> &str;
}

/// The messages of one topic that an event set contains.
#[derive(Debug, Clone, Copy)]
pub struct TopicFilter {
    /// The topic's name.
    pub topic: &'static str,
    /// The types of its messages.
    pub wanted: WantedMessages,
    /// The names of the topic's retired types, whose messages the consumer does not receive. Empty
    /// means that the consumer receives all that `wanted` selects.
    pub retired: &'static [&'static str],
}

/// The message types of a topic that a consumer receives.
#[derive(Debug, Clone, Copy)]
pub enum WantedMessages {
    /// Every message, except those of retired types. A message whose type the topic does not know is
    /// an error.
    All,
    /// Only these types; the repository filters out all other messages.
    Only(&'static [&'static MessageDescriptor]),
    /// These types, and all types that the topic neither knows nor has retired.
    OnlyAndUnknown {
        /// The types that the consumer receives.
        chosen: &'static [&'static MessageDescriptor],
        /// All types of the topic.
        known: &'static [MessageDescriptor],
    },
}
