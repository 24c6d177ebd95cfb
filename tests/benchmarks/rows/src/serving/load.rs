use crate::consume::Kind;

/// The work that a row measures, on any database.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// Consumes a backlog of the whole topic.
    Consume { kind: Kind, page: usize },
    /// Consumes a shorter backlog with a handler that inserts a row for each message.
    ConsumeInserting { page: usize },
    /// Publishes each message in its own transaction.
    PublishSingle { publishers: usize },
    /// Publishes batches with one publisher.
    PublishBatch { size: usize },
}

impl Load {
    pub const ALL: [Self; 9] = [
        Self::Consume {
            kind: Kind::External,
            page: 500,
        },
        Self::Consume {
            kind: Kind::External,
            page: 5_000,
        },
        Self::Consume {
            kind: Kind::Transactional,
            page: 500,
        },
        Self::Consume {
            kind: Kind::Transactional,
            page: 5_000,
        },
        Self::ConsumeInserting { page: 500 },
        Self::PublishSingle { publishers: 1 },
        Self::PublishSingle { publishers: 16 },
        Self::PublishBatch { size: 100 },
        Self::PublishBatch { size: 1_000 },
    ];

    /// Returns the name of the row. A name never changes, because rows of two commits are matched
    /// by it.
    pub fn name(self) -> String {
        match self {
            Self::Consume {
                kind: Kind::External,
                page,
            } => format!("consume/external/{page}"),
            Self::Consume {
                kind: Kind::Transactional,
                page,
            } => format!("consume/transactional/{page}"),
            Self::ConsumeInserting { page } => format!("consume/insert-per-message/{page}"),
            Self::PublishSingle { publishers } => format!("publish/single/{publishers}"),
            Self::PublishBatch { size } => format!("publish/batch/{size}"),
        }
    }
}
