use std::borrow::Cow;
use std::cell::RefCell;

use serde::Deserialize;
use serde::de::IgnoredAny;
use uuid::Uuid;

use crate::shared_text::SharedText;
use crate::{Headers, Message, MessageDecorator, name};

/// The header of the W3C's Trace Context.
const TRACEPARENT: &str = "traceparent";

/// To which flow messages belong, and what has caused them.
///
/// What a handler dispatches belongs to the flow of the message that it handles, and is caused by it:
/// nothing has to be passed around, as long as it is dispatched on the handler's thread. A message that
/// nothing has caused starts a flow of its own. Handlers of pages say which of their messages it is:
/// [`caused_by`](Self::caused_by).
///
/// What comes from outside, such as a request, can bring its flow along:
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
/// // ... or for all that is dispatched meanwhile on this thread.
/// request.scope(|| MessageDispatcher::<Orders>::new().dispatch(&mut bus, &OrderPlaced {}))?;
/// # Ok::<(), persisting_message_bus::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Correlation {
    /// The id of the flow; `None` for one that the next message starts, whose id is that message's.
    pub correlation_id: Option<String>,
    /// The id of the message that is the direct cause.
    pub causation_id: Option<Uuid>,
    /// The trace that this is part of, as the W3C's Trace Context writes it. It is carried on as it is.
    pub traceparent: Option<String>,
}

/// What is stored of it.
#[derive(Default, Deserialize)]
struct Stored<'a> {
    #[serde(borrow, default, rename = "__correlation_id")]
    correlation_id: Header<'a>,
    #[serde(borrow, default, rename = "__causation_id")]
    causation_id: Header<'a>,
    #[serde(borrow, default)]
    traceparent: Header<'a>,
}

/// A header that others may have set to anything: what is no text is none.
#[derive(Default, Deserialize)]
#[serde(untagged)]
enum Header<'a> {
    Text(Cow<'a, str>),
    Other(IgnoredAny),
    #[default]
    #[serde(skip)]
    Missing,
}

impl<'a> Header<'a> {
    fn text(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Text(text) => Some(text),
            Self::Other(_) | Self::Missing => None,
        }
    }
}

/// What messages are caused by that are dispatched on a thread.
#[derive(Clone)]
enum Cause {
    Message(Uuid, SharedText),
    Outside(Correlation),
}

thread_local! {
    static CAUSE: RefCell<Option<Cause>> = const { RefCell::new(None) };
}

impl Correlation {
    /// A flow that has begun elsewhere. Its id has at most
    /// [`MAX_NAME_LENGTH`](crate::MAX_NAME_LENGTH) characters, which is checked when a message is
    /// dispatched.
    #[must_use]
    pub fn of_flow(correlation_id: impl Into<String>) -> Self {
        Self {
            correlation_id: Some(correlation_id.into()),
            ..Self::default()
        }
    }

    /// The flow of a message, which is the cause.
    #[must_use]
    pub fn caused_by<S>(message: &Message<S>) -> Self {
        Self::of_message(message.message_id(), message.headers_json())
    }

    /// The same flow, as part of a trace.
    #[must_use]
    pub fn with_traceparent(mut self, traceparent: impl Into<String>) -> Self {
        self.traceparent = Some(traceparent.into());
        self
    }

    /// What is dispatched now on this thread belongs to, if anything has caused it.
    #[must_use]
    pub fn current() -> Option<Self> {
        CAUSE.with_borrow(|cause| {
            Some(match cause.as_ref()? {
                Cause::Message(id, headers) => Self::of_message(*id, headers.as_str()),
                Cause::Outside(correlation) => correlation.clone(),
            })
        })
    }

    /// Runs something; what it dispatches on this thread belongs to this.
    pub fn scope<T>(&self, run: impl FnOnce() -> T) -> T {
        let _caused = Caused::by(Cause::Outside(self.clone()));
        run()
    }

    fn of_message(id: Uuid, headers: &str) -> Self {
        let mut stored = Stored::of(headers);
        let own = || id.to_string();
        Self {
            correlation_id: Some(stored.flow().map_or_else(own, Cow::into_owned)),
            causation_id: Some(id),
            traceparent: stored.traceparent.text().map(Cow::into_owned),
        }
    }
}

/// Sets what is not set: in a handler, the message at hand stays the cause of what is dispatched in a flow
/// from outside, unless a causation id is set too.
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
        {
            headers.set(TRACEPARENT, traceparent.as_str());
        }
    }
}

impl<'a> Stored<'a> {
    /// Headers that cannot be read tell of no flow.
    fn of(headers: &'a str) -> Self {
        serde_json::from_str(headers).unwrap_or_default()
    }

    /// A flow whose id could not be stored is none.
    fn flow(&mut self) -> Option<Cow<'a, str>> {
        let id = std::mem::take(&mut self.correlation_id).text();
        id.filter(|id| name::validate("correlation id", id).is_ok())
    }
}

/// The flow that stored headers name, if it is not the message's own.
pub(crate) fn correlation_id(headers: &str) -> Option<Cow<'_, str>> {
    Stored::of(headers).flow()
}

/// The direct cause that stored headers name.
pub(crate) fn causation_id(headers: &str) -> Option<Uuid> {
    let id = Stored::of(headers).causation_id.text()?;
    Uuid::try_parse(&id).ok()
}

/// As long as it lives, something is the cause of what is dispatched on the thread.
pub(crate) struct Caused {
    before: Option<Cause>,
}

impl Caused {
    /// By messages that are to come, one after the other.
    pub(crate) fn by_messages() -> Self {
        Self {
            before: CAUSE.take(),
        }
    }

    /// The next of these messages.
    pub(crate) fn by_message(&self, id: Uuid, headers: &SharedText) {
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

impl Drop for Caused {
    fn drop(&mut self) {
        CAUSE.set(self.before.take());
    }
}
