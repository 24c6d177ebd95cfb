//! Tools for operators: the state of consumers, failed messages, and the flow of causes.

mod counted;
mod end_lease;
mod failing;
mod flow;
mod segments;
mod status;
mod wanted;

pub use crate::operate::end_lease::end_lease;
pub use crate::operate::flow::Flow;
pub use crate::operate::segments::SegmentStatus;
pub use crate::operate::status::{ConsumerCondition, ConsumerStatus};
pub use crate::operate::wanted::stop_wanting;
pub use crate::run::arrival::NotCaughtUp;
pub use crate::run::handle::{RunHandle, StopTimedOut};
pub use crate::run::thread::ConsumerExit;
pub use crate::signals::Shutdown;
pub use crate::store::failures::{
    FailedMessage, FailedMessagesRequest, FailureState, MessageFailures, ParkedSelector,
};
pub use crate::store::key::ConsumerKey;
pub use crate::store::source::FlowMessage;
