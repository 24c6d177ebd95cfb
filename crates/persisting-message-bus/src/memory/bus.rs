use crate::bridge::bus::MessageBus;
use crate::error::Error;
use crate::memory::consumer_state::InMemoryMessageConsumerState;
use crate::memory::repository::InMemoryMessageRepository;
use crate::message::raw::RawMessage;
use crate::message::storable::Dispatched;
use crate::store::repository::{MessageRepository, OnDuplicate};

/// Messages and consumer state in memory, as one bus whose changes can be rolled back together.
pub type InMemoryMessageBus = MessageBus<InMemoryMessageRepository, InMemoryMessageConsumerState>;

/// In memory, a transaction covers both the messages and the state.
impl MessageRepository for InMemoryMessageBus {
    fn persist(
        &mut self,
        messages: &[RawMessage],
        duplicates: OnDuplicate,
    ) -> Result<usize, Error> {
        self.messages.persist(messages, duplicates)
    }

    fn persist_dispatched(
        &mut self,
        messages: Dispatched<'_>,
        duplicates: OnDuplicate,
    ) -> Result<usize, Error> {
        self.messages.persist_dispatched(messages, duplicates)
    }
}
