//! The connection to the program's tracing, which the library does not know.

use std::sync::OnceLock;

use tracing::{Span, debug};

use crate::message::typed::Message;
use crate::panics::catch;

/// Connects the library's spans to the traces of the program, in the format of the
/// [W3C's Trace Context](https://www.w3.org/TR/trace-context/#traceparent-header).
///
/// The library creates spans of `tracing`, and stores the header `traceparent` with each message.
/// Which trace a span belongs to is known to the layer that exports the spans, such as
/// `tracing-opentelemetry`. [`set_trace_context`] installs the connection, once for the program.
///
/// ```
/// use persisting_message_bus::tracing::{TraceContext, set_trace_context};
/// use tracing::Span;
///
/// struct OpenTelemetry;
///
/// impl TraceContext for OpenTelemetry {
///     fn current(&self) -> Option<String> {
///         // With tracing-opentelemetry: a propagator injects the header from `Span::current().context()`.
///         Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned())
///     }
///
///     fn link(&self, handling: &Span, traceparent: &str) {
///         // With tracing-opentelemetry: `handling.add_link(..)` or `handling.set_parent(..)` with the
///         // context that a propagator extracts from the header.
///         println!("{handling:?} handles a message of {traceparent}");
///     }
/// }
///
/// assert!(set_trace_context(OpenTelemetry).is_ok());
/// assert!(set_trace_context(OpenTelemetry).is_err());
/// ```
pub trait TraceContext: Send + Sync + 'static {
    /// Returns the `traceparent` of the current span; `None` if there is none. Each dispatch stores it
    /// with its messages, unless their headers have one. Otherwise, messages that a handler dispatches
    /// have that of the message that it handles. An invalid one is left out.
    fn current(&self) -> Option<String>;

    /// Links the span of an attempt to handle a message to the `traceparent` of the message. Called
    /// before the span is entered, for each attempt.
    fn link(&self, handling: &Span, traceparent: &str);
}

static CONTEXT: OnceLock<Box<dyn TraceContext>> = OnceLock::new();

/// A trace context was installed before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the program has installed a trace context before: call set_trace_context once")]
pub struct TraceContextIsSet;

/// Installs the connection to the program's tracing: see [`TraceContext`].
///
/// # Errors
///
/// When one is installed already.
pub fn set_trace_context(context: impl TraceContext) -> Result<(), TraceContextIsSet> {
    let set = CONTEXT.set(Box::new(context));
    set.map_err(|_unused| TraceContextIsSet)
}

/// Returns the `traceparent` of the current span.
pub(crate) fn current() -> Option<String> {
    let context = CONTEXT.get()?;
    guarded(|| context.current()).flatten()
}

/// Links the span to the trace of the message.
pub(super) fn link<S>(handling: &Span, message: &Message<S>) {
    let Some(context) = CONTEXT.get() else {
        return;
    };
    if let Some(traceparent) = message.traceparent() {
        guarded(|| context.link(handling, &traceparent));
    }
}

/// Calls the application's code, whose panic must not fail a message.
fn guarded<T>(call: impl FnOnce() -> T) -> Option<T> {
    let called = catch(call);
    called
        .inspect_err(|panicked| debug!(panicked, "trace context panicked"))
        .ok()
}
