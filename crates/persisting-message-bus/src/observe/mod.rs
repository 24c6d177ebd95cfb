//! The library's telemetry: spans and events of `tracing`, and counters, histograms
//! and gauges with the feature `metrics`. Fields have OpenTelemetry's names where it defines one.

pub(crate) mod trace;

use std::time::Instant;

use tracing::span::EnteredSpan;
use tracing::{Span, debug, error, info_span, warn};

use crate::message::topic::EventSet;
use crate::message::typed::Message;
use crate::position::Position;
use crate::store::failures::FailurePolicy;
use crate::store::lease::Lease;

/// Creates the span of a page that a consumer handles, with the number of its segment if it is
/// divided. A segment is what OpenTelemetry calls a partition.
pub(crate) fn page(consumer: &str, segment: Option<u16>) -> Span {
    info_span!(
        "handle_page",
        messaging.consumer.group.name = consumer,
        messaging.destination.partition.id = segment
    )
}

/// Records the end of a page.
pub(crate) fn page_handled(consumer: &str, segment: Option<u16>, messages: usize, begun: Instant) {
    let duration = begun.elapsed();
    debug!(
        messaging.consumer.group.name = consumer,
        messaging.destination.partition.id = segment,
        messaging.batch.message_count = messages,
        duration_ms = duration.as_secs_f64() * 1_000.0,
        "page handled"
    );
    #[cfg(feature = "metrics")]
    {
        let labels = [("consumer", consumer.to_owned())];
        metrics::counter!("message_bus_handled_messages_total", &labels).increment(messages as u64);
        metrics::histogram!("message_bus_page_duration_seconds", &labels).record(duration);
    }
}

/// A message that its handler is handling, until this is dropped.
pub(crate) struct Handling<'a> {
    _span: EnteredSpan,
    times: &'a HandlerTimes,
    /// Read only for metrics.
    begun: Option<Instant>,
}

pub(crate) fn handling<'a, S: EventSet>(
    times: &'a HandlerTimes,
    message: &Message<S>,
) -> Handling<'a> {
    let span = info_span!(
        "handle_message",
        messaging.destination.name = message.topic(),
        messaging.message.id = %message.message_id(),
        messaging.message.type = message.message_type(),
        messaging.message.position = message.position().get(),
    );
    trace::link(&span, message);
    Handling {
        _span: span.entered(),
        times,
        begun: cfg!(feature = "metrics").then(Instant::now),
    }
}

impl Drop for Handling<'_> {
    fn drop(&mut self) {
        if let Some(begun) = self.begun {
            self.times.record(begun);
        }
    }
}

/// The histogram of a consumer's handler times, looked up once for a page.
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

/// Returns the number of the lease's segment, if there is one.
fn partition(lease: &Lease) -> Option<u16> {
    lease.segment.as_ref().map(|segment| segment.number)
}

/// Records a failure of a message, with the number of failures so far.
pub(crate) fn failed(lease: &Lease, position: Position, attempts: u32, error: &str) {
    warn!(
        messaging.consumer.group.name = lease.consumer,
        messaging.destination.name = lease.topic,
        messaging.destination.partition.id = partition(lease),
        messaging.message.position = position.get(),
        attempts,
        epoch = lease.epoch,
        error,
        "message failed"
    );
    #[cfg(feature = "metrics")]
    count(lease, "message_bus_failed_attempts_total");
}

/// Records that a consumer waits before a message that its program does not know.
pub(crate) fn waits_before_unknown(lease: &Lease, position: Position, error: &str) {
    warn!(
        messaging.consumer.group.name = lease.consumer,
        messaging.destination.name = lease.topic,
        messaging.destination.partition.id = partition(lease),
        messaging.message.position = position.get(),
        error,
        "consumer waits before a message that its program does not know; a newer program of this \
         name can handle it"
    );
}

/// Records that the failure policy was applied to a message.
pub(crate) fn gave_up(lease: &Lease, position: Position, then: FailurePolicy) {
    let outcome = match then {
        FailurePolicy::Stop => "consumer stopped before a failing message",
        FailurePolicy::Park => "message parked",
        FailurePolicy::Skip => "message skipped",
    };
    error!(
        messaging.consumer.group.name = lease.consumer,
        messaging.destination.name = lease.topic,
        messaging.destination.partition.id = partition(lease),
        messaging.message.position = position.get(),
        epoch = lease.epoch,
        then = ?then,
        "{outcome}"
    );
    #[cfg(feature = "metrics")]
    count(
        lease,
        match then {
            FailurePolicy::Stop => "message_bus_stopped_consumers_total",
            FailurePolicy::Park => "message_bus_parked_messages_total",
            FailurePolicy::Skip => "message_bus_skipped_messages_total",
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

/// Records how many segments of a consumer wait for a thread of this process, and how many of its threads
/// are at work.
pub(crate) fn segments(_consumer: &str, _waiting: usize, _busy: usize) {
    #[cfg(feature = "metrics")]
    {
        let labels = [("consumer", _consumer.to_owned())];
        metrics::gauge!("message_bus_waiting_segments", &labels).set(_waiting as f64);
        metrics::gauge!("message_bus_busy_threads", &labels).set(_busy as f64);
    }
}

/// Records that messages were handed to the repository. Their transaction may still be open.
pub(crate) fn dispatched(topic: &'static str, messages: usize, begun: Instant) {
    let duration = begun.elapsed();
    debug!(
        messaging.destination.name = topic,
        messaging.batch.message_count = messages,
        duration_ms = duration.as_secs_f64() * 1_000.0,
        "messages dispatched"
    );
    #[cfg(feature = "metrics")]
    {
        metrics::counter!("message_bus_dispatched_messages_total", "topic" => topic)
            .increment(messages as u64);
        metrics::histogram!("message_bus_dispatch_duration_seconds", "topic" => topic)
            .record(duration);
    }
}
