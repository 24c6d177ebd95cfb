//! Where the topics of a consumer end.

use crate::position::Position;
use crate::store::place::MessageAt;

/// Where the topics of a consumer end. All segments of a consumer that is divided use the same, so
/// that they are asked for once. They stay valid, because a range that is complete stays complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ends {
    /// The lowest high-water mark of the topics.
    pub(crate) high_water_mark: Position,
    /// The last message of each topic at or below the high-water mark, in the order of the topics.
    pub(crate) heads: Vec<MessageAt>,
}
