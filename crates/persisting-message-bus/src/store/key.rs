use crate::message::topic::Topic;

/// A consumer's name and the topic on which it has a cursor.
///
/// ```
/// use persisting_message_bus::operate::ConsumerKey;
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// # struct OrderPlaced {}
/// # #[derive(persisting_message_bus::Topic)]
/// # #[topic(name = "orders")]
/// # enum Orders { OrderPlaced(OrderPlaced) }
///
/// let key = ConsumerKey::on::<Orders>("mailer");
/// assert_eq!(key, ConsumerKey { consumer: "mailer", topic: "orders" });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConsumerKey<'a> {
    /// The consumer's name.
    pub consumer: &'a str,
    /// The topic's name.
    pub topic: &'a str,
}

impl<'a> ConsumerKey<'a> {
    /// Returns the key of the consumer with this name on a topic.
    #[must_use]
    pub const fn on<T: Topic>(consumer: &'a str) -> Self {
        Self {
            consumer,
            topic: T::NAME,
        }
    }
}
