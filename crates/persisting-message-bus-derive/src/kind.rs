//! Whether an enum is a topic or an event set.

/// What a derive makes of an enum.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Topic,
    EventSet,
}

impl Kind {
    /// Returns the attribute on the enum.
    pub(crate) fn helper(self) -> &'static str {
        match self {
            Self::Topic => "topic",
            Self::EventSet => "event_set",
        }
    }

    /// Returns the name for errors, with its article.
    pub(crate) fn noun_with_article(self) -> &'static str {
        match self {
            Self::Topic => "a topic",
            Self::EventSet => "an event set",
        }
    }

    /// Returns the name for errors, without an article.
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Self::Topic => "topic",
            Self::EventSet => "event set",
        }
    }
}
