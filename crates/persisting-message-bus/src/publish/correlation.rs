use std::borrow::Cow;
use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::pin;

use tracing::debug;
use uuid::Uuid;

use crate::error::kind::shortened;
use crate::message::headers::Headers;
use crate::message::stored_headers::StoredHeaders;
use crate::message::text_arena::TextSlice;
use crate::message::typed::Message;
use crate::message::{flow_id, traceparent};
use crate::observe::trace;
use crate::publish::decorator::MessageDecorator;

/// The header of the W3C's Trace Context.
const TRACEPARENT: &str = "traceparent";

/// The flow that messages belong to, and their direct cause.
///
/// Messages that a handler dispatches belong to the flow of the message that it handles, and that
/// message is their cause. The handler need not pass anything around, but it must dispatch on its
/// own thread, or in a task that it has spawned with [`in_scope`](Self::in_scope). A message without a cause starts a flow of its own. A handler of pages names the
/// causing message itself: [`caused_by`](Self::caused_by).
///
/// A request or other input from outside can bring its own flow:
///
/// ```
/// use persisting_message_bus::memory::InMemoryMessageBus;
/// use persisting_message_bus::{Correlation, MessageDispatcher, Topic};
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// # struct OrderPlaced {}
/// # #[derive(Topic)]
/// # #[topic(name = "orders")]
/// # enum Orders { OrderPlaced(OrderPlaced) }
///
/// let mut bus = InMemoryMessageBus::default();
/// let request = Correlation::of_flow("request 4711")
///     .with_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
///
/// // With a decorator ...
/// let orders = MessageDispatcher::<Orders>::new().with_decorator(request.clone());
/// orders.dispatch(&mut bus, &OrderPlaced {})?;
///
/// // ... or for every dispatch on this thread inside a scope.
/// request.scope(|| MessageDispatcher::<Orders>::new().dispatch(&mut bus, &OrderPlaced {}))?;
/// # Ok::<(), persisting_message_bus::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Correlation {
    /// The id of the flow. `None` if the next message starts the flow, whose id is then that of the
    /// message. The dispatch treats an id as [`of_flow`](Self::of_flow) does.
    pub correlation_id: Option<String>,
    /// The id of the message that is the direct cause.
    pub causation_id: Option<Uuid>,
    /// The trace in the format of the W3C's Trace Context. It is passed on unchanged, unless it is
    /// invalid: see [`with_traceparent`](Self::with_traceparent).
    pub traceparent: Option<String>,
}

/// The cause of the messages that are dispatched on a thread.
#[derive(Clone)]
enum Cause {
    Message(Uuid, TextSlice),
    Outside(Correlation),
}

thread_local! {
    static CAUSE: RefCell<Option<Cause>> = const { RefCell::new(None) };
}

impl Correlation {
    /// Creates the correlation of a flow that began elsewhere. The id can be any text, so that no
    /// request can make a dispatch fail:
    ///
    /// - An id without visible characters is left out. The next message starts a flow of its own.
    /// - An id that is longer than [`MAX_NAME_LENGTH`](crate::backend::MAX_NAME_LENGTH) characters,
    ///   contains a control or invisible format character, or starts or ends with white space is
    ///   changed. The library stores its first 222 characters without such characters, `~`, and a
    ///   digest of the whole id in 32 hexadecimal digits. Different ids stay different.
    ///   [`Flow::read`](crate::operate::Flow::read) finds the flow by either form of the id.
    ///
    /// In both cases, the library logs an event at the level debug.
    #[must_use]
    pub fn of_flow(correlation_id: impl Into<String>) -> Self {
        Self {
            correlation_id: flow_id::accept(correlation_id.into()),
            ..Self::default()
        }
    }

    /// Creates the correlation of messages that `message` causes, in its flow.
    #[must_use]
    pub fn caused_by<S>(message: &Message<S>) -> Self {
        Self::of_message(message.message_id(), message.headers_json())
    }

    /// Returns the same flow as part of a trace, which the header `traceparent` of the
    /// [W3C's Trace Context](https://www.w3.org/TR/trace-context/#traceparent-header) names.
    ///
    /// An invalid header is left out, and the library logs an event at the level debug. A header is
    /// valid if it has these fields in lower-case hexadecimal digits, with dashes between them: the
    /// version in 2 digits, not `ff`; the trace id in 32 digits and the parent id in 16 digits, both
    /// not zero; and the flags in 2 digits. Versions after `00` can have more fields after a dash,
    /// in visible ASCII characters. The whole header then has at most 255 characters.
    #[must_use]
    pub fn with_traceparent(mut self, traceparent: impl Into<String>) -> Self {
        let traceparent = traceparent.into();
        self.traceparent = is_valid_trace(&traceparent).then_some(traceparent);
        self
    }

    /// Returns the correlation of messages dispatched on this thread, if a cause is set.
    #[must_use]
    pub fn current() -> Option<Self> {
        CAUSE.with_borrow(|cause| {
            Some(match cause.as_ref()? {
                Cause::Message(id, headers) => Self::of_message(*id, headers.as_str()),
                Cause::Outside(correlation) => correlation.clone(),
            })
        })
    }

    /// Returns the correlation of a dispatch: the current one, as part of the trace of the current
    /// span.
    pub(crate) fn of_dispatch() -> Option<Self> {
        let current = Self::current();
        let Some(traceparent) = trace::current() else {
            return current;
        };
        Some(current.unwrap_or_default().with_traceparent(traceparent))
    }

    /// Runs a closure; messages that it dispatches on this thread have this correlation.
    pub fn scope<T>(&self, run: impl FnOnce() -> T) -> T {
        let _caused = CauseGuard::by(Cause::Outside(self.clone()));
        run()
    }

    /// Returns a future that runs `future`; messages that it dispatches have this correlation, on
    /// whichever threads it is polled.
    ///
    /// An async handler needs this only for tasks that it spawns:
    ///
    /// ```
    /// use persisting_message_bus::memory::InMemoryMessageBus;
    /// use persisting_message_bus::{Correlation, MessageDispatcher, Topic};
    /// # #[derive(serde::Serialize, serde::Deserialize)]
    /// # struct OrderPlaced {}
    /// # #[derive(Topic)]
    /// # #[topic(name = "orders")]
    /// # enum Orders { OrderPlaced(OrderPlaced) }
    ///
    /// async fn publish(mut bus: InMemoryMessageBus) -> Result<(), persisting_message_bus::Error> {
    ///     MessageDispatcher::<Orders>::new().dispatch(&mut bus, &OrderPlaced {})?;
    ///     Ok(())
    /// }
    ///
    /// # #[cfg(feature = "diesel-async-0_9")]
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let current = Correlation::current().unwrap_or_default();
    /// tokio::spawn(current.in_scope(publish(InMemoryMessageBus::default()))).await??;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn in_scope<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        let correlation = self.clone();
        async move {
            let mut future = pin!(future);
            poll_fn(|context| correlation.scope(|| future.as_mut().poll(context))).await
        }
    }

    fn of_message(id: Uuid, headers: &str) -> Self {
        let mut stored = StoredHeaders::of(headers);
        let own = || id.to_string();
        Self {
            correlation_id: Some(stored.flow().map_or_else(own, Cow::into_owned)),
            causation_id: Some(id),
            traceparent: stored.traceparent().map(Cow::into_owned),
        }
    }
}

/// Returns `true` for a valid trace, and logs an invalid one.
fn is_valid_trace(header: &str) -> bool {
    let is_valid = traceparent::is_valid(header);
    if !is_valid {
        debug!(given = shortened(header), "invalid traceparent left out");
    }
    is_valid
}

/// Sets only the headers that are not set. In a handler, the current message stays the cause of
/// messages dispatched in a flow from outside, unless a causation id is set too.
impl MessageDecorator for Correlation {
    fn decorate(&self, headers: &mut Headers) {
        if headers.correlation_id().is_none()
            && let Some(id) = &self.correlation_id
        {
            headers.set_correlation_id(id.as_str());
        }
        if headers.causation_id().is_none()
            && let Some(id) = self.causation_id
        {
            headers.set_causation_id(id);
        }
        if headers.get(TRACEPARENT).is_none()
            && let Some(traceparent) = &self.traceparent
            && is_valid_trace(traceparent)
        {
            headers.set(TRACEPARENT, traceparent.as_str());
        }
    }
}

/// Sets the cause of messages dispatched on this thread until it is dropped.
pub(crate) struct CauseGuard {
    before: Option<Cause>,
}

impl CauseGuard {
    /// Starts without a cause, for messages that are handled one after the other.
    pub(crate) fn by_messages() -> Self {
        Self {
            before: CAUSE.take(),
        }
    }

    /// Makes the next of these messages the cause.
    pub(crate) fn by_message<S>(&self, message: &Message<S>) {
        let (id, headers) = (message.message_id(), message.shared_headers());
        CAUSE.with_borrow_mut(|cause| {
            if let Some(Cause::Message(before, of_before)) = cause
                && of_before.move_to(headers)
            {
                *before = id;
            } else {
                *cause = Some(Cause::Message(id, headers.clone()));
            }
        });
    }

    fn by(cause: Cause) -> Self {
        Self {
            before: CAUSE.replace(Some(cause)),
        }
    }
}

impl Drop for CauseGuard {
    fn drop(&mut self) {
        CAUSE.set(self.before.take());
    }
}
