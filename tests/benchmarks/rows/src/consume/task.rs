/// What a consumer is to do.
#[derive(Clone, Copy)]
pub struct Task {
    pub kind: Kind,
    pub page: usize,
    /// After which position it begins.
    pub after: i64,
    /// How many messages it handles, if there are as many.
    pub most: usize,
}

/// When the cursor is stored.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// After the page.
    External,
    /// In the same transaction.
    Transactional,
}

impl Task {
    /// From the start until there is no more.
    pub fn catch_up(kind: Kind, page: usize) -> Self {
        Self {
            kind,
            page,
            after: 0,
            most: usize::MAX,
        }
    }
}
