//! What a consumer is, besides its name.

/// What a consumer reads. It is stored with the cursor, because the cursor is only valid for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ConsumerIdentity<'a> {
    /// The stored form of its event set: its topics and message types. `None` leaves the event set
    /// unknown.
    pub event_set: Option<&'a str>,
    /// The name of the source in which its cursor counts; `None` for the database that keeps the
    /// consumer state.
    pub source: Option<&'a str>,
}

/// The identity of a consumer as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoredIdentity {
    /// The stored form of its event set; `None` if it is unknown.
    pub event_set: Option<String>,
    /// The name of its source; `None` for the database that keeps the consumer state.
    pub source: Option<String>,
}

impl From<ConsumerIdentity<'_>> for StoredIdentity {
    fn from(identity: ConsumerIdentity<'_>) -> Self {
        Self {
            event_set: identity.event_set.map(str::to_owned),
            source: identity.source.map(str::to_owned),
        }
    }
}
