//! What operators do with a consumer that is divided.

use crate::consume::segments::parallel::ParallelConsumer;
use crate::error::Error;
use crate::message::topic::EventSet;
use crate::store::consumer_state::MessageConsumerState;
use crate::store::source::MessageSource;

impl<S: EventSet, H> ParallelConsumer<S, H> {
    /// Changes the number of segments: at least 1, at most 4,096. Returns `false` if the consumer has
    /// so many already.
    ///
    /// The change takes effect while the consumer runs: all segments stop at one position, where they
    /// are replaced, and continue from there. So no key loses its order, and no message is handled
    /// again. A segment that cannot get there, because its handler fails, holds up the others.
    ///
    /// # Errors
    ///
    /// - When the consumer is not divided yet, or the number of its segments is changing.
    /// - When the bus cannot be read or written.
    pub fn resize<B>(&mut self, bus: &mut B, segments: u16) -> Result<bool, Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
    {
        self.own().0.begin_resizing(bus, segments)
    }

    /// Pauses all segments, as [`MessageConsumer::pause`](crate::MessageConsumer::pause). Threads that
    /// are at work end their time slices first.
    ///
    /// # Errors
    ///
    /// Those of [`MessageConsumer::pause`](crate::MessageConsumer::pause).
    pub fn pause<B>(&mut self, bus: &mut B) -> Result<bool, Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        self.own().0.pause(bus)
    }

    /// Resumes all segments.
    ///
    /// # Errors
    ///
    /// Those of [`MessageConsumer::resume`](crate::MessageConsumer::resume).
    pub fn resume<B>(&mut self, bus: &mut B) -> Result<bool, Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        self.own().0.resume(bus)
    }
}
