use uuid::Uuid;

/// The statement that publishes one message through any driver: its text, and the values to bind.
///
/// [`MessageDispatcher::statement`](crate::MessageDispatcher::statement) returns it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishStatement {
    pub(super) sql: String,
    pub(super) values: Vec<StatementValue>,
    pub(super) message_id: Uuid,
}

impl PublishStatement {
    /// Returns the text. It depends on the database and the names of the tables only, so that a
    /// driver can keep it prepared. The placeholders are `$1`, `$2`, ... on PostgreSQL, and `?`
    /// elsewhere.
    #[must_use]
    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// Returns the values, in the order of the placeholders.
    #[must_use]
    pub fn values(&self) -> &[StatementValue] {
        &self.values
    }

    /// Returns the id of the message. The message is published once the transaction commits in
    /// which the statement runs.
    #[must_use]
    pub fn message_id(&self) -> Uuid {
        self.message_id
    }
}

/// A value of a [`PublishStatement`].
///
/// Every driver can bind these kinds. Ids, times and JSON are texts, which the database converts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatementValue {
    /// A text.
    Text(String),
    /// An integer of up to 32 bits, which PostgreSQL expects as one of 64 bits (`bigint`).
    Integer(i64),
    /// NULL, in the place of a text.
    Null,
}

impl StatementValue {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub(super) fn optional(text: Option<String>) -> Self {
        text.map_or(Self::Null, Self::Text)
    }
}
