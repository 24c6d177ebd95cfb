//! What operators do with a consumer that is divided.

use crate::consume::moving::Rows;
use crate::consume::segments::parallel::ParallelConsumer;
use crate::consume::start_at::StartAt;
use crate::error::Error;
use crate::message::topic::EventSet;
use crate::store::consumer_state::MessageConsumerState;
use crate::store::source::MessageSource;
use crate::store::transactions::TransactionControl;

impl<S: EventSet, H> ParallelConsumer<S, H> {
    /// Changes the number of segments: at least 1, at most 4,096. Returns `false` if the consumer has
    /// so many already.
    ///
    /// The change takes effect while the consumer runs: all segments stop at one position, where they
    /// are replaced, and continue from there. So no key loses its order, and no message is handled
    /// again. Until all are there, nothing after that position is handled: a segment that cannot get
    /// there, because its handler fails, holds up the others. [`reset`](Self::reset) gets them past its
    /// message.
    ///
    /// # Errors
    ///
    /// - When the consumer is not divided yet, or the number of its segments is changing.
    /// - When a segment was last handled by a program that reads something else than this one.
    /// - When another operator has changed the number at the same time.
    /// - When the bus cannot be read or written.
    pub fn resize<B>(&mut self, bus: &mut B, segments: u16) -> Result<bool, Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
    {
        self.own().0.begin_resizing(bus, segments)
    }

    /// Pauses all segments, as [`MessageConsumer::pause`](crate::MessageConsumer::pause). Threads that
    /// are at work end their time slices first, and can begin others for half a second.
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

    /// Moves the cursors of all segments to one place on each topic, or none, as
    /// [`MessageConsumer::reset`](crate::MessageConsumer::reset). The place is computed once for each
    /// topic.
    ///
    /// This takes the leases of all segments, which threads at work hold. So [`pause`](Self::pause) the
    /// consumer before, wait until its threads have ended their time slices, and [`resume`](Self::resume)
    /// it afterwards. If the consumer was not divided yet, its segments will begin at the place.
    ///
    /// ```
    /// use persisting_message_bus::memory::InMemoryMessageBus;
    /// use persisting_message_bus::{
    ///     Message, MessageConsumer, MessageDispatcher, ParallelConsumer, StartAt, Topic,
    /// };
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Serialize, Deserialize)]
    /// struct OrderPlaced { order: u32 }
    ///
    /// #[derive(Topic)]
    /// #[topic(name = "orders", key = order)]
    /// enum Orders { OrderPlaced(OrderPlaced) }
    ///
    /// let mut bus = InMemoryMessageBus::default();
    /// let placed = (1..=100).map(|order| OrderPlaced { order });
    /// MessageDispatcher::<Orders>::new().dispatch_batch(&mut bus, placed)?;
    ///
    /// let index = || MessageConsumer::<Orders>::external("search-index", |_: &Message<Orders>| Ok(()));
    /// let mut index = ParallelConsumer::by_key(index).segments(8);
    /// assert_eq!(index.handle_new_messages(&mut bus)?, 100);
    /// index.reset(&mut bus, StartAt::Start)?;
    /// assert_eq!(index.handle_new_messages(&mut bus)?, 100);
    /// # Ok::<(), persisting_message_bus::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - [`Error::is_lease_held`]: another holder has the lease of a segment. Nothing was moved.
    /// - [`Error::is_retryable`]: the segments have just been replaced. Nothing was moved.
    /// - Those of [`MessageConsumer::reset`](crate::MessageConsumer::reset).
    pub fn reset<B>(&mut self, bus: &mut B, to: StartAt) -> Result<(), Error>
    where
        B: MessageSource + MessageConsumerState + TransactionControl,
    {
        self.own().0.reset_rows(bus, to, Rows::Segments)?;
        self.forget_waiting();
        Ok(())
    }

    /// Stores for all segments that this consumer wants what its program reads, and nothing else, as
    /// [`MessageConsumer::narrow_event_set`](crate::MessageConsumer::narrow_event_set). Takes the
    /// leases of all segments, as [`reset`](Self::reset).
    ///
    /// # Errors
    ///
    /// - [`Error::is_lease_held`]: another holder has the lease of a segment. Nothing was changed.
    /// - [`Error::is_retryable`]: the segments have just been replaced. Nothing was changed.
    /// - Those of [`MessageConsumer::narrow_event_set`](crate::MessageConsumer::narrow_event_set).
    pub fn narrow_event_set<B>(&mut self, bus: &mut B) -> Result<(), Error>
    where
        B: MessageSource + MessageConsumerState + TransactionControl,
    {
        self.own().0.narrow_rows(bus, Rows::Segments)?;
        self.forget_waiting();
        Ok(())
    }

    /// Accepts the source as it is now, for all segments, as
    /// [`MessageConsumer::accept_source`](crate::MessageConsumer::accept_source). Takes the leases of
    /// all segments, as [`reset`](Self::reset).
    ///
    /// # Errors
    ///
    /// - [`Error::is_lease_held`]: another holder has the lease of a segment. Nothing was changed.
    /// - [`Error::is_retryable`]: the segments have just been replaced. Nothing was changed.
    /// - Those of [`MessageConsumer::accept_source`](crate::MessageConsumer::accept_source).
    pub fn accept_source<B>(&mut self, bus: &mut B) -> Result<(), Error>
    where
        B: MessageSource + MessageConsumerState + TransactionControl,
    {
        self.own().0.accept_rows(bus, Rows::Segments)
    }

    /// Forgets before which messages segments wait, because these may be passed now.
    fn forget_waiting(&mut self) {
        let (_, memories) = self.own();
        memories
            .values_mut()
            .for_each(|memory| memory.waiting = None);
    }
}
