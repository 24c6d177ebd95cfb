use crate::message::topic::{MessageDescriptor, Topic};

/// A topic, for tools that work on all topics of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicDescriptor {
    /// Its name.
    pub name: &'static str,
    /// Its message types.
    pub messages: &'static [MessageDescriptor],
    /// The names of its retired types.
    pub retired: &'static [&'static str],
}

impl TopicDescriptor {
    /// Returns the description of a topic.
    #[must_use]
    pub const fn of<T: Topic>() -> Self {
        Self {
            name: T::NAME,
            messages: T::MESSAGES,
            retired: T::RETIRED,
        }
    }
}

/// Lists topics. It does not compile if two of them have the same name.
///
/// ```
/// use persisting_message_bus::{Topic, topics};
/// use persisting_message_bus::backend::TopicDescriptor;
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize)]
/// # struct OrderPlaced {}
/// # #[derive(Serialize, Deserialize)]
/// # struct Paid {}
///
/// #[derive(Topic)]
/// #[topic(name = "orders")]
/// enum Orders {
///     OrderPlaced(OrderPlaced),
/// }
///
/// #[derive(Topic)]
/// #[topic(name = "payments", retired = "CouponUsed")]
/// enum Payments {
///     Paid(Paid),
/// }
///
/// const TOPICS: &[TopicDescriptor] = topics![Orders, Payments];
/// assert_eq!(TOPICS[1].name, "payments");
/// assert_eq!(TOPICS[1].retired, ["CouponUsed"]);
/// ```
#[macro_export]
macro_rules! topics {
    ($($topic:ty),* $(,)?) => {{
        const TOPICS: &[$crate::backend::TopicDescriptor] = &[$($crate::backend::TopicDescriptor::of::<$topic>()),*];
        const {
            ::core::assert!(
                $crate::__private::are_distinct(&[$(<$topic as $crate::Topic>::NAME),*]),
                "two of these topics have the same name: give each its own `#[topic(name = ...)]`"
            );
        }
        TOPICS
    }};
}
