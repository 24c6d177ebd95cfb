//! A consumer that works on several segments at once.

use std::collections::HashMap;
use std::fmt;

use crate::consume::consumer::MessageConsumer;
use crate::consume::handler::PageHandler;
use crate::consume::memory::Memory;
use crate::consume::segments::look::{Look, Seen};
use crate::error::Error;
use crate::message::key::Keyed;
use crate::message::topic::EventSet;
use crate::store::consumer_state::MessageConsumerState;
use crate::store::segment::{DividedBy, Division};
use crate::store::source::MessageSource;

/// Makes the consumer of a thread.
pub(crate) type Make<S, H> = Box<dyn Fn() -> MessageConsumer<S, H> + Send + Sync>;

/// A consumer whose messages are handled by many threads and processes at once.
///
/// The messages are divided into segments. Each segment has a cursor and a lease of its own, and one
/// thread at a time works on it. So the messages of a segment come in the order of their positions.
/// All that [`MessageConsumer`] guarantees holds for each segment: external handlers handle each
/// message at least once, and the changes of transactional handlers take effect exactly once.
///
/// A process with an idle thread takes the free segment that has waited longest, and releases it after
/// a [time slice](MessageConsumer::time_slice). So processes share the work without knowing each other.
/// A process that joins or leaves repeats nothing. After a crash, another process takes over when the
/// lease has expired.
///
/// ```
/// use persisting_message_bus::memory::InMemoryMessageBus;
/// use persisting_message_bus::{
///     Message, MessageConsumer, MessageDispatcher, ParallelConsumer, Topic,
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
/// let mail = || MessageConsumer::<Orders>::external("mailer", |_: &Message<Orders>| Ok(()));
/// let mut mailer = ParallelConsumer::by_key(mail).segments(8).threads(4);
/// assert_eq!(mailer.handle_new_messages(&mut bus)?, 100);
/// # Ok::<(), persisting_message_bus::Error>(())
/// ```
pub struct ParallelConsumer<S, H> {
    pub(crate) make: Make<S, H>,
    pub(crate) wanted: Division,
    pub(crate) threads: usize,
    /// The consumer with which [`handle_new_messages`](Self::handle_new_messages) works, and what it
    /// remembers of each segment.
    own: Option<(MessageConsumer<S, H>, HashMap<String, Memory>)>,
}

impl<S: EventSet, H> ParallelConsumer<S, H> {
    /// Creates a consumer that is divided by the keys of the messages, so that messages of one key keep
    /// their order. `make` makes the consumer of each thread, always with the same name and settings.
    ///
    /// Messages without a key belong to the first segment, and keep their order among themselves. If
    /// the event set has several topics, the messages of one key keep their order across these.
    ///
    /// It does not compile if the topic has no key ([`Keyed`]).
    pub fn by_key(make: impl Fn() -> MessageConsumer<S, H> + Send + Sync + 'static) -> Self
    where
        S: Keyed,
    {
        Self::of(DividedBy::Key, make)
    }

    /// Creates a consumer that is divided by the positions of the messages, for handlers that need no
    /// order. `make` makes the consumer of each thread, always with the same name and settings.
    pub fn unordered(make: impl Fn() -> MessageConsumer<S, H> + Send + Sync + 'static) -> Self {
        Self::of(DividedBy::Position, make)
    }

    fn of(by: DividedBy, make: impl Fn() -> MessageConsumer<S, H> + Send + Sync + 'static) -> Self {
        Self {
            make: Box::new(make),
            wanted: Division::new(by, 64),
            threads: 16,
            own: None,
        }
    }

    /// Sets into how many segments the consumer is divided when it first runs. Default: 64. Zero means
    /// 1, and more than 4,096 means 4,096. It has no effect afterwards: see
    /// [`resize`](Self::resize).
    ///
    /// Four segments for each thread of all processes keep the threads busy.
    #[must_use]
    pub fn segments(mut self, segments: u16) -> Self {
        self.wanted = Division::new(self.wanted.by, segments);
        self
    }

    /// Sets the number of threads in a [`Runner`](crate::Runner), each with a handler and a connection
    /// of its own. Default: 16. Zero means 1.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// Handles all new messages, one segment after the other, on the calling thread. Returns the number
    /// of handled messages. Tests can call it; a [`Runner`](crate::Runner) handles segments at once.
    ///
    /// # Errors
    ///
    /// - As [`MessageConsumer::handle_new_messages`]. If a segment fails, the other segments continue,
    ///   and the first error is returned.
    /// - When the bus cannot be divided: it has no column for the slots of keys, or keeps no segments.
    /// - When the consumer has a `before_replay` hook.
    pub fn handle_new_messages<B>(&mut self, bus: &mut B) -> Result<usize, Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
        H: PageHandler<S, B>,
    {
        let (consumer, memories) = self
            .own
            .get_or_insert_with(|| ((self.make)(), HashMap::new()));
        let handled = handle_all(consumer, memories, bus, self.wanted);
        handled.map_err(|error| error.of_consumer(consumer.name()))
    }

    /// Returns the consumer for what happens on the calling thread, and what it remembers of each
    /// segment.
    pub(super) fn own(&mut self) -> (&mut MessageConsumer<S, H>, &mut HashMap<String, Memory>) {
        let own = self
            .own
            .get_or_insert_with(|| ((self.make)(), HashMap::new()));
        (&mut own.0, &mut own.1)
    }
}

impl<S: EventSet, H> MessageConsumer<S, H> {
    /// Divides the consumer if necessary, and reads its segments. Returns `None` while the number of
    /// its segments changes.
    pub(crate) fn look_divided<B>(
        &mut self,
        bus: &mut B,
        wanted: Division,
    ) -> Result<Option<Look>, Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
        H: PageHandler<S, B>,
    {
        // The program that divided the consumer may have been another one.
        self.check_divisible(bus, wanted)?;
        let mut look = self.look(bus)?;
        if look.is_none() {
            self.divide(bus, wanted)?;
            look = self.look(bus)?;
        }
        match look {
            Some(look) => {
                self.check_kind(look.division.by, wanted.by)?;
                let is_stale = self.go_on_resizing(bus, &look)?;
                Ok((!is_stale).then_some(look))
            }
            None => {
                self.agree_on_resizing(bus)?;
                Ok(None)
            }
        }
    }
}

/// The number of rounds that wait for a change of the number of segments.
const MAX_RESIZING: u32 = 10;

/// Handles what there is, one segment after the other, until no segment has more.
fn handle_all<S, H, B>(
    consumer: &mut MessageConsumer<S, H>,
    memories: &mut HashMap<String, Memory>,
    bus: &mut B,
    wanted: Division,
) -> Result<usize, Error>
where
    S: EventSet,
    B: MessageSource + MessageConsumerState + ?Sized,
    H: PageHandler<S, B>,
{
    let (mut all, mut failed, mut resizing) = (0, None, 0);
    loop {
        let look = consumer.look_divided(bus, wanted)?;
        let is_resizing = look
            .as_ref()
            .is_none_or(|look| look.division.resize.is_some());
        // Each round takes the change of the number of segments one step further, unless another
        // process holds it up.
        resizing += u32::from(is_resizing);
        let Some(look) = look else {
            if resizing > MAX_RESIZING {
                return Ok(all);
            }
            continue;
        };
        if look.is_paused {
            return Ok(all);
        }
        let before = all;
        for Seen { segment, .. } in &look.segments {
            let memory = memories.remove(&segment.name).unwrap_or_default();
            consumer.begin_segment(segment.clone(), memory, look.ends.clone());
            let handled = consumer.handle_new_messages(bus);
            memories.insert(segment.name.clone(), consumer.end_segment());
            match handled {
                Ok(handled) => all += handled,
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        if all == before && !(is_resizing && resizing <= MAX_RESIZING) {
            return Ok(all);
        }
    }
}

impl<S, H> fmt::Debug for ParallelConsumer<S, H> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ParallelConsumer")
            .field("division", &self.wanted.to_string())
            .field("threads", &self.threads)
            .finish_non_exhaustive()
    }
}
