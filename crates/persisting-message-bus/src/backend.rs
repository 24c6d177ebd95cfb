//! The traits that a backend implements, and the types that they use.

pub use crate::message::descriptor::TopicDescriptor;
pub use crate::message::name::{MAX_NAME_LENGTH, name_problem};
pub use crate::message::raw::{RawMessage, StoredMessage};
pub use crate::message::slot::Slot;
pub use crate::message::topic::{MessageDescriptor, MessageOf, TopicFilter, WantedMessages};
pub use crate::publish::clock::{Clock, SystemClock};
pub use crate::store::ahead::Ahead;
pub use crate::store::consumer_state::{
    ConsumerRow, CursorUpdate, MarkBeyond, MessageConsumerState, NoteWork, SegmentChange,
    SegmentRow,
};
pub use crate::store::failures::NewFailure;
pub use crate::store::identity::{ConsumerIdentity, StoredIdentity};
pub use crate::store::inbox::{InboxEntry, MessageInbox};
pub use crate::store::lease::{Lease, LeaseRequest};
pub use crate::store::page_request::{PageRequest, TypeFilter};
pub use crate::store::part::{Part, SlotRange};
pub use crate::store::place::{Anchor, MessageAt, Place};
pub use crate::store::repository::MessageRepository;
pub use crate::store::segment::{DividedBy, Division, MAX_SEGMENTS, Resize, Segment};
pub use crate::store::slot_observations::SlotObservations;
pub use crate::store::source::{Backlog, MessageSource};
pub use crate::store::transactions::{
    TransactionControl, TransactionControlOn, TransactionMark, TransactionState,
};
pub use crate::store::work::{Work, WorkMessages};
