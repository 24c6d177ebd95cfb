use tracing::info;

use crate::{Error, EventSet, MessageConsumer, MessageConsumerState};

impl<S: EventSet, H> MessageConsumer<S, H> {
    /// Lets every consumer of this name rest, in any process, until it is resumed: it finishes the page
    /// at hand, and finds nothing new from then on.
    ///
    /// Says whether there is such a consumer: one that never handled anything cannot be paused.
    ///
    /// # Errors
    ///
    /// When the state cannot be written.
    pub fn pause<B>(&self, bus: &mut B) -> Result<bool, Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        self.set_paused(bus, true)
    }

    /// Lets it go on. Says whether there is such a consumer.
    ///
    /// # Errors
    ///
    /// When the state cannot be written.
    pub fn resume<B>(&self, bus: &mut B) -> Result<bool, Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        self.set_paused(bus, false)
    }

    fn set_paused<B>(&self, bus: &mut B, paused: bool) -> Result<bool, Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        let mut is_known = false;
        for reader in &self.topics {
            is_known |= bus.set_paused(&self.name, reader.topic, paused)?;
        }
        info!(
            messaging.consumer.group.name = self.name,
            is_known, paused, "paused or resumed"
        );
        Ok(is_known)
    }
}
