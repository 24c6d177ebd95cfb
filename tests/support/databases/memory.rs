use persisting_message_bus::memory::InMemoryMessageBus;

use super::Database;

/// A database in memory.
pub struct Memory(InMemoryMessageBus);

impl Database for Memory {
    const READS_IN_STRETCHES: bool = false;

    type Bus = InMemoryMessageBus;

    fn create() -> Self {
        Self(InMemoryMessageBus::default())
    }

    fn connect(&self) -> InMemoryMessageBus {
        self.0.clone()
    }

    fn key_slots(&self) -> Vec<i16> {
        let messages = self.0.messages.messages();
        messages
            .iter()
            .map(|message| message.key_slot.get())
            .collect()
    }
}
