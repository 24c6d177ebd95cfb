use tracing::info;

use crate::consume::consumer::MessageConsumer;
use crate::error::Error;
use crate::message::topic::EventSet;
use crate::store::consumer_state::MessageConsumerState;
use crate::store::key::ConsumerKey;

impl<S: EventSet, H> MessageConsumer<S, H> {
    /// Pauses every consumer of this name, in all processes, until it is resumed. A consumer that
    /// is handling messages finishes its time slice first (200 ms by default, and the page in which
    /// it ends).
    ///
    /// Returns `false` if there is no such consumer, because a consumer that never ran cannot be
    /// paused.
    ///
    /// # Errors
    ///
    /// When the state cannot be written.
    pub fn pause<B>(&self, bus: &mut B) -> Result<bool, Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        let is_known = self.on_each_topic(|key| bus.pause(key))?;
        info!(
            messaging.consumer.group.name = self.name,
            is_known, "consumer paused"
        );
        Ok(is_known)
    }

    /// Ends a pause. Returns `false` if there is no such consumer.
    ///
    /// # Errors
    ///
    /// When the state cannot be written.
    pub fn resume<B>(&self, bus: &mut B) -> Result<bool, Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        let is_known = self.on_each_topic(|key| bus.resume(key))?;
        info!(
            messaging.consumer.group.name = self.name,
            is_known, "consumer resumed"
        );
        Ok(is_known)
    }

    /// Applies a change on every topic. Returns whether the consumer is known on one of them.
    fn on_each_topic(
        &self,
        mut change: impl FnMut(ConsumerKey<'_>) -> Result<bool, Error>,
    ) -> Result<bool, Error> {
        let mut is_known = false;
        for reader in &self.topics {
            is_known |= change(ConsumerKey {
                consumer: &self.name,
                topic: reader.topic,
            })?;
        }
        Ok(is_known)
    }
}
