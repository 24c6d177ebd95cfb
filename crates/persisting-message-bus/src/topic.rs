use crate::{Error, StoredMessage};

/// A closed set of message types under one name. Implemented by [`derive(Topic)`](macro@crate::Topic).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a topic",
    label = "not a topic",
    note = "a topic is an enum of messages: `#[derive(Topic)] #[topic(name = \"...\")] enum {Self} {{ ... }}`"
)]
pub trait Topic: EventSet {
    /// The topic itself. An event set names the topic through this, so that what is no topic is one
    /// error and not one for each message.
    #[doc(hidden)]
    type Registry;

    /// The name under which its messages are kept.
    const NAME: &'static str;

    /// Its message types, in the order of the variants.
    const MESSAGES: &'static [MessageDescriptor];

    /// The message in the enum as JSON; an unknown one as it was stored.
    #[doc(hidden)]
    fn encode(&self) -> Result<String, serde_json::Error>;

    /// The index in [`MESSAGES`](Self::MESSAGES) of the type with this name or alias.
    fn index_of(message_type: &str) -> Option<usize>;
}

/// One message type of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageDescriptor {
    /// The stable wire name under which new messages are kept.
    pub name: &'static str,
    /// Names under which older messages were kept.
    pub aliases: &'static [&'static str],
    /// The version of its schema that new messages have; the first is 1.
    pub version: u32,
}

impl MessageDescriptor {
    /// The name and the aliases.
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
    /// Its type's entry in [`Topic::MESSAGES`].
    fn descriptor(&self) -> &'static MessageDescriptor;

    /// The message as JSON.
    ///
    /// # Errors
    ///
    /// When its `Serialize` fails, or when it has a map whose keys JSON cannot express.
    fn to_payload(&self) -> Result<String, serde_json::Error>;
}

impl<T: Topic, M: MessageOf<T> + ?Sized> MessageOf<T> for &M {
    fn descriptor(&self) -> &'static MessageDescriptor {
        (**self).descriptor()
    }

    fn to_payload(&self) -> Result<String, serde_json::Error> {
        (**self).to_payload()
    }
}

/// What a consumer wants to see: a whole topic, or some of its messages. Implemented by
/// [`derive(Topic)`](macro@crate::Topic) and [`derive(EventSet)`](macro@crate::EventSet).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither a topic nor an event set",
    label = "not something a consumer can read",
    note = "write `#[derive(Topic)]` or `#[derive(EventSet)]` on the enum"
)]
pub trait EventSet: Sized {
    /// The topics that it reads, and what of each.
    const SELECTIONS: &'static [Selection];

    /// Turns a stored message into the variant for its type.
    ///
    /// # Errors
    ///
    /// When the message's type is not one of this set, or its payload does not decode; the error
    /// names topic, position, message id and type.
    fn decode(message: &StoredMessage<'_>) -> Result<Self, Error>;

    /// The wire name of this message's type.
    fn message_type(&self) -> &str;
}

/// What an event set wants to see of one topic.
#[derive(Debug, Clone, Copy)]
pub struct Selection {
    /// The topic's name.
    pub topic: &'static str,
    /// The types of its messages.
    pub wanted: Wanted,
}

/// Which of a topic's message types are wanted.
#[derive(Debug, Clone, Copy)]
pub enum Wanted {
    /// Every message; one of a type that the topic does not know is an error.
    All,
    /// These only; the others are passed over by the repository.
    Only(&'static [&'static MessageDescriptor]),
    /// These, and those that the topic does not know.
    OnlyAndUnknown {
        /// The types that are wanted.
        chosen: &'static [&'static MessageDescriptor],
        /// All types of the topic.
        known: &'static [MessageDescriptor],
    },
}
