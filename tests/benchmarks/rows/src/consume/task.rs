/// The task of a consumer.
#[derive(Clone, Copy)]
pub struct Task {
    pub kind: Kind,
    pub page: usize,
    /// The position after which the consumer begins.
    pub after: i64,
    /// The maximum number of messages to handle.
    pub most: usize,
}

/// The kind of the handler, which decides when the cursor is stored.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The cursor is stored after the page.
    External,
    /// The cursor is stored in the handler's transaction.
    Transactional,
}

impl Task {
    /// Returns the task to handle all messages from the start.
    pub fn handle_new_messages(kind: Kind, page: usize) -> Self {
        Self {
            kind,
            page,
            after: 0,
            most: usize::MAX,
        }
    }
}
