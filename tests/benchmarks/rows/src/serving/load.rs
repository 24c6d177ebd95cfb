use crate::consume::Kind;

/// What a row measures, on any of the databases.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// A backlog, of the whole topic.
    Consume { kind: Kind, page: usize },
    /// A shorter one, by a handler that inserts a row for each message.
    ConsumeInserting { page: usize },
    /// Each message in a transaction of its own.
    PublishSingle { publishers: usize },
    /// By one publisher.
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

    /// It never changes: rows of two commits are compared by it.
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
