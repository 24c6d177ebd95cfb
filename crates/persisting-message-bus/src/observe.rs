//! What the library tells of its work: spans and events of `tracing`, and with the feature `metrics`
//! counters and histograms. Fields are called as OpenTelemetry calls them, where it does.

use std::time::Instant;

use tracing::span::EnteredSpan;
use tracing::{Span, debug, error, info_span, warn};

use crate::consumer::Leases;
use crate::{EventSet, GiveUp, Lease, Message, Position};

/// While a consumer works on a page.
pub(crate) fn page(consumer: &str) -> Span {
    info_span!("handle_page", messaging.consumer.group.name = consumer)
}

/// The end of a page.
pub(crate) fn page_handled(consumer: &str, messages: usize, begun: Instant) {
    let duration = begun.elapsed();
    debug!(
        messaging.consumer.group.name = consumer,
        messaging.batch.message_count = messages,
        duration_ms = duration.as_secs_f64() * 1_000.0,
        "handled a page"
    );
    #[cfg(feature = "metrics")]
    {
        let labels = [("consumer", consumer.to_owned())];
        metrics::counter!("message_bus_handled_messages_total", &labels).increment(messages as u64);
        metrics::histogram!("message_bus_page_duration_seconds", &labels).record(duration);
    }
}

/// A message in the hands of its handler, until this is dropped.
pub(crate) struct Handling<'a> {
    _span: EnteredSpan,
    leases: &'a Leases,
    /// Nobody asks for it where there are no metrics.
    begun: Option<Instant>,
}

pub(crate) fn handling<'a, S: EventSet>(leases: &'a Leases, message: &Message<S>) -> Handling<'a> {
    let span = info_span!(
        "handle_message",
        messaging.destination.name = message.topic(),
        messaging.message.id = %message.message_id(),
        messaging.message.type = message.message_type(),
        messaging.message.position = message.position().get(),
    );
    Handling {
        _span: span.entered(),
        leases,
        begun: cfg!(feature = "metrics").then(Instant::now),
    }
}

impl Drop for Handling<'_> {
    fn drop(&mut self) {
        if let Some(begun) = self.begun {
            self.leases.handler_times.record(begun);
        }
    }
}

/// How long a consumer's handler takes, looked up once for a page.
#[derive(Debug)]
pub(crate) struct HandlerTimes {
    #[cfg(feature = "metrics")]
    histogram: metrics::Histogram,
}

impl HandlerTimes {
    pub(crate) fn of(_consumer: &str) -> Self {
        Self {
            #[cfg(feature = "metrics")]
            histogram: metrics::histogram!(
                "message_bus_handler_duration_seconds",
                "consumer" => _consumer.to_owned()
            ),
        }
    }

    fn record(&self, _begun: Instant) {
        #[cfg(feature = "metrics")]
        self.histogram.record(_begun.elapsed());
    }
}

/// A message failed, for so many times.
pub(crate) fn failed(lease: &Lease, position: Position, attempts: u32, error: &str) {
    warn!(
        messaging.consumer.group.name = lease.consumer,
        messaging.destination.name = lease.topic,
        messaging.message.position = position.get(),
        attempts,
        error,
        "a message failed"
    );
    #[cfg(feature = "metrics")]
    count(lease, "message_bus_failed_attempts_total");
}

/// A message is not attempted any more.
pub(crate) fn gave_up(lease: &Lease, position: Position, then: GiveUp) {
    error!(
        messaging.consumer.group.name = lease.consumer,
        messaging.destination.name = lease.topic,
        messaging.message.position = position.get(),
        then = ?then,
        "gave a message up"
    );
    #[cfg(feature = "metrics")]
    count(
        lease,
        match then {
            GiveUp::Stop => "message_bus_stopped_consumers_total",
            GiveUp::Park => "message_bus_parked_messages_total",
            GiveUp::Skip => "message_bus_skipped_messages_total",
        },
    );
}

#[cfg(feature = "metrics")]
fn count(lease: &Lease, name: &'static str) {
    let labels = [
        ("consumer", lease.consumer.clone()),
        ("topic", lease.topic.clone()),
    ];
    metrics::counter!(name, &labels).increment(1);
}

/// Messages were handed to the repository. Their transaction may still be open.
pub(crate) fn dispatched(topic: &'static str, messages: usize, begun: Instant) {
    let duration = begun.elapsed();
    debug!(
        messaging.destination.name = topic,
        messaging.batch.message_count = messages,
        duration_ms = duration.as_secs_f64() * 1_000.0,
        "dispatched"
    );
    #[cfg(feature = "metrics")]
    {
        metrics::counter!("message_bus_dispatched_messages_total", "topic" => topic)
            .increment(messages as u64);
        metrics::histogram!("message_bus_dispatch_duration_seconds", "topic" => topic)
            .record(duration);
    }
}
