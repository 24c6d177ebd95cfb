use std::sync::Arc;
use std::time::Instant;

use tracing::{debug, error, info, warn};

use crate::backoff::full_jitter;
use crate::consume::consumer::MessageConsumer;
use crate::consume::handler::PageHandler;
use crate::error::Error;
use crate::message::topic::EventSet;
use crate::panics::catch;
use crate::run::arrival::Arrival;
use crate::run::connecting::{Connect, Connector, abandon, on_useful_connection};
use crate::run::heartbeat::Heartbeat;
use crate::run::holder::Holder;
use crate::run::step::{ChangeToken, Next, Outcome, Pace, Progress};
use crate::run::surroundings::Surroundings;
use crate::signals::Signals;
use crate::store::consumer_state::MessageConsumerState;
use crate::store::source::MessageSource;

/// A consumer that has ended.
#[derive(Debug)]
#[non_exhaustive]
pub struct ConsumerExit {
    /// The name of the consumer.
    pub consumer: String,
    /// The error that stopped the consumer. After a shutdown, `None`, unless the consumer has not
    /// polled a single time, for example because a table is missing or the server was never
    /// reached. Then it is the consumer's last error. Of a [`ParallelConsumer`](crate::ParallelConsumer),
    /// it is also the error of a segment that has stopped.
    pub error: Option<Error>,
}

impl ConsumerExit {
    /// Returns the exit after a panic outside of the handler. A handler's panic is the failure of a
    /// message.
    pub(super) fn by_panic(consumer: String, cause: String) -> Self {
        let error = Error::permanent("running", cause).of_consumer(&consumer);
        Self {
            consumer,
            error: Some(error),
        }
    }
}

impl ConsumerExit {
    /// Creates the exit of a consumer that must not run.
    pub(super) fn refused(name: &str, problem: &str) -> Self {
        let error = Error::permanent("starting", problem.to_owned()).of_consumer(name);
        log_stop(name, &error);
        Self {
            consumer: name.to_owned(),
            error: Some(error),
        }
    }
}

/// The reason why a consumer has never worked.
#[derive(Default)]
struct Hindrance {
    has_polled: bool,
    last: Option<Error>,
}

impl Hindrance {
    fn note(&mut self, outcome: Outcome) {
        match outcome {
            // The consumer has not polled. It may be stopping.
            Outcome::Unchanged => {}
            Outcome::Failed(error) | Outcome::NotConnected(error) if error.is_of_repository() => {
                self.last = (!self.has_polled).then_some(error);
            }
            // Also the failure of a message, and the lease of another holder.
            _ => (self.has_polled, self.last) = (true, None),
        }
    }
}

/// Runs a consumer until it ends.
pub(super) fn run<B, S, H>(
    mut consumer: MessageConsumer<S, H>,
    connect: &Arc<Connect<B>>,
    signals: &Signals,
    arrival: &Arrival,
    with: &Surroundings,
) -> ConsumerExit
where
    B: MessageSource + MessageConsumerState + Send + 'static,
    S: EventSet,
    H: PageHandler<S, B>,
{
    let pace = Pace {
        retry: consumer.retry_or(with.pace.retry),
        ..with.pace
    };
    info!(
        messaging.consumer.group.name = consumer.name(),
        "consumer started"
    );
    let _heartbeat = H::NEEDS_HEARTBEAT.then(|| {
        let (held, lease_duration) = consumer.held_leases();
        Heartbeat::start(vec![Arc::clone(held)], lease_duration, Arc::clone(connect))
    });
    let connector = Connector::new(Arc::clone(connect), pace.connect_timeout, with.needed);
    let mut bus = None;
    let mut progress = Progress::default();
    let mut error = None;
    let mut hindrance = Hindrance::default();
    let mut holder = Holder::default();
    let (_, lease_duration) = consumer.held_leases();
    while !signals.is_stopping() {
        // Read before the poll, so that a wake during the poll is not missed.
        let wakes = signals.wakes();
        let outcome = attempt(
            &mut consumer,
            &mut bus,
            &connector,
            signals,
            arrival,
            &progress,
            wakes,
        );
        let next = progress.step(&outcome, &pace);
        if let Some(error) = outcome.error() {
            if error.is_lease_held() {
                holder.tell(consumer.name(), error, lease_duration, Instant::now());
            } else {
                let failed_often = progress.failures() >= pace.retry.at_most();
                log_failure(consumer.name(), error, failed_often, next);
            }
        }
        match next {
            Next::GoOn => {}
            Next::Poll(wait) => signals.wait(wait, Some(wakes)),
            // A wake does not shorten the delay before a retry.
            Next::RetryAfter(wait) => signals.wait(wait, None),
            Next::RetryWithin(longest) => signals.wait(full_jitter(longest), None),
            Next::ReconnectWithin(longest) => {
                if let Some(useless) = bus.take() {
                    abandon(useless);
                }
                signals.wait(full_jitter(longest), None);
            }
            Next::Stop => {
                error = outcome.into_error();
                break;
            }
        }
        hindrance.note(outcome);
    }
    let error = error.or(hindrance.last);
    if consumer.has_unstored() {
        store_at_the_end(&mut consumer, &connector, &mut None);
    }
    let consumer = consumer.name().to_owned();
    match &error {
        Some(error) => log_stop(&consumer, error),
        None => info!(messaging.consumer.group.name = consumer, "consumer ended"),
    }
    ConsumerExit { consumer, error }
}

pub(super) fn log_stop(consumer: &str, error: &Error) {
    error!(
        messaging.consumer.group.name = consumer,
        error = %format_args!("{error:#}"),
        "consumer stopped because of an error"
    );
}

/// Stores the cursors of final effects once more, so that the effects do not happen again. If no
/// connection can be opened in time, the effects happen again, and there is no `bus` afterwards.
pub(super) fn store_at_the_end<B, S, H>(
    consumer: &mut MessageConsumer<S, H>,
    connector: &Connector<B>,
    bus: &mut Option<B>,
) where
    B: MessageSource + MessageConsumerState + Send + 'static,
    S: EventSet,
{
    // The stop has been requested before, so only the timeout limits the wait.
    let signals = Signals::default();
    let stopped = || Err(Error::permanent("connecting", "a stop was requested"));
    let connect = || connector.connect(&signals).unwrap_or_else(stopped);
    let stored = on_useful_connection(bus, connect, |bus| consumer.store_unstored(bus));
    if let Err(error) = stored {
        warn!(
            messaging.consumer.group.name = consumer.name(),
            messaging.destination.partition.id = consumer.segment_number(),
            error = %format_args!("{error:#}"),
            "cursors of handled messages not stored: these messages will be handled again"
        );
    }
}

/// Logs an error. The failure of a message is already logged. Contention is normal, unless it does
/// not end.
pub(super) fn log_failure(consumer: &str, error: &Error, failed_often: bool, next: Next) {
    let text = format_args!("{error:#}");
    let is_common = error.is_retryable() && !error.is_disconnected();
    let is_usual = is_common && !failed_often;
    let is_told = error.attempts().is_some() || error.is_unknown_message();
    if is_usual || is_told {
        debug!(
            messaging.consumer.group.name = consumer,
            error = %text,
            ?next,
            "consumer iteration failed"
        );
    } else {
        warn!(
            messaging.consumer.group.name = consumer,
            error = %text,
            ?next,
            "consumer iteration failed"
        );
    }
}

/// Handles pages if there are new messages, on the current connection or a new one.
fn attempt<B, S, H>(
    consumer: &mut MessageConsumer<S, H>,
    bus: &mut Option<B>,
    connector: &Connector<B>,
    signals: &Signals,
    arrival: &Arrival,
    progress: &Progress,
    wakes: u64,
) -> Outcome
where
    B: MessageSource + MessageConsumerState + Send + 'static,
    S: EventSet,
    H: PageHandler<S, B>,
{
    let bus = match bus {
        Some(bus) => bus,
        None => match connector.connect(signals) {
            Some(Ok(connected)) => bus.insert(connected),
            Some(Err(error)) => {
                let outcome = Outcome::NotConnected(error.of_consumer(consumer.name()));
                arrival.note(&outcome, None, false);
                return outcome;
            }
            // The consumer stops.
            None => return Outcome::Unchanged,
        },
    };
    // Handlers are guarded where they are called, so that the failing message is known.
    let mut question = None;
    let polled = catch(|| {
        question = arrival.prepare(consumer, bus)?;
        poll_unless_unchanged(consumer, bus, progress, wakes)
    });
    let polled = polled.unwrap_or_else(|text| {
        let panicked = format!("it panicked: {text}");
        Err(Error::permanent("handling a page", panicked))
    });
    let outcome =
        polled.unwrap_or_else(|error| Outcome::Failed(error.of_consumer(consumer.name())));
    arrival.note(&outcome, question, consumer.is_paused);
    outcome
}

/// Polls, unless the change token shows that a poll would be empty. The token is read before the
/// poll, so that a later commit changes the next one.
fn poll_unless_unchanged<B, S, H>(
    consumer: &mut MessageConsumer<S, H>,
    bus: &mut B,
    progress: &Progress,
    wakes: u64,
) -> Result<Outcome, Error>
where
    B: MessageSource + MessageConsumerState,
    S: EventSet,
    H: PageHandler<S, B>,
{
    let changes = bus.change_token()?;
    let token = changes.map(|changes| ChangeToken { changes, wakes });
    if progress.can_rest(token) {
        return Ok(Outcome::Unchanged);
    }
    Ok(match consumer.handle_pages_if_any(bus)? {
        None => Outcome::Nothing(token),
        Some(handled) => Outcome::Handled(handled),
    })
}
