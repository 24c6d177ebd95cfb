use std::fmt;

use serde::Serialize;

/// The position of a message in its repository.
///
/// In SQL it is the row's `id`. A message that is dispatched after another message's commit has the
/// larger position. There can be gaps. [`Position::START`], 0, is before all messages.
///
/// ```
/// use persisting_message_bus::backend::MessageSource;
/// use persisting_message_bus::memory::InMemoryMessageBus;
/// use persisting_message_bus::{MessageDispatcher, Position, Topic};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct OrderPlaced {}
///
/// #[derive(Topic)]
/// #[topic(name = "orders")]
/// enum Orders { OrderPlaced(OrderPlaced) }
///
/// let mut bus = InMemoryMessageBus::default();
/// assert_eq!(bus.current_head("orders")?, Position::START);
/// MessageDispatcher::<Orders>::new().dispatch(&mut bus, &OrderPlaced {})?;
///
/// let head = bus.current_head("orders")?;
/// assert!(head > Position::START);
/// assert_eq!(head, Position::new(1));
/// assert_eq!(head.to_string(), "1");
/// # Ok::<(), persisting_message_bus::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
#[serde(transparent)]
pub struct Position(i64);

impl Position {
    /// The position before all messages.
    pub const START: Self = Self(0);

    /// The position after all possible messages.
    pub(crate) const LAST: Self = Self(i64::MAX);

    /// Creates the position of the row `id`.
    #[must_use]
    pub const fn new(id: i64) -> Self {
        Self(id)
    }

    /// Returns the last position before this one.
    pub(crate) fn before(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// Returns the row's `id`.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}
