use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use tracing::{debug, error, info, warn};

use super::heartbeat::{Connect, Heartbeat};
use super::holder::Holder;
use super::signals::Signals;
use super::step::{Next, Outcome, Pace, Progress, Sign};
use crate::consumer::text_of_panic;
use crate::retry::up_to;
use crate::{Error, EventSet, HandlePages, MessageConsumer, MessageConsumerState, MessageSource};

/// A consumer that does not run any more.
#[derive(Debug)]
#[non_exhaustive]
pub struct Ended {
    /// Its name.
    pub consumer: String,
    /// Why it stopped by itself; `None` after a shutdown.
    pub error: Option<Error>,
}

impl Ended {
    /// Not by a handler, whose panic is the failure of a message.
    pub(super) fn by_panic(consumer: String, panic: &(dyn Any + Send)) -> Self {
        let cause = text_of_panic(panic);
        let error = Error::repository("running", cause, false).of_consumer(&consumer);
        Self {
            consumer,
            error: Some(error),
        }
    }
}

/// Runs a consumer until the end.
pub(super) fn run<B, S, H>(
    mut consumer: MessageConsumer<S, H>,
    connect: &Arc<Connect<B>>,
    signals: &Signals,
    pace: &Pace,
) -> Ended
where
    B: MessageSource + MessageConsumerState + 'static,
    S: EventSet,
    H: HandlePages<S, B>,
{
    let pace = Pace {
        retry: consumer.retry_or(pace.retry),
        ..*pace
    };
    info!(
        messaging.consumer.group.name = consumer.name(),
        "a consumer runs"
    );
    let _heartbeat = H::NEEDS_HEARTBEAT.then(|| {
        let (held, lease_duration) = consumer.held_leases();
        Heartbeat::start(Arc::clone(held), lease_duration, Arc::clone(connect))
    });
    let mut bus = None;
    let mut progress = Progress::default();
    let mut error = None;
    let mut holder = Holder::default();
    let (_, lease_duration) = consumer.held_leases();
    while !signals.is_stopping() {
        let nudges = signals.nudges();
        let outcome = attempt(&mut consumer, &mut bus, &**connect, &progress, nudges);
        let next = progress.step(&outcome, &pace);
        if let Outcome::Failed(error) = &outcome {
            if error.is_locked() {
                holder.tell(consumer.name(), error, lease_duration, Instant::now());
            } else {
                let failed_often = progress.failures() >= pace.retry.most_attempts();
                tell(consumer.name(), error, failed_often, next);
            }
        }
        match next {
            Next::GoOn => {}
            Next::Poll(wait) => signals.wait(wait, Some(nudges)),
            Next::RetryAfter(wait) => signals.wait(wait, None),
            Next::RetryWithin(longest) => signals.wait(up_to(longest), None),
            Next::ReconnectWithin(longest) => {
                bus = None;
                signals.wait(up_to(longest), None);
            }
            Next::Stop => {
                if let Outcome::Failed(reason) = outcome {
                    error = Some(reason);
                }
                break;
            }
        }
    }
    if consumer.has_unstored() {
        store_at_the_end(&mut consumer, &**connect);
    }
    let consumer = consumer.name().to_owned();
    match &error {
        Some(error) => error!(
            messaging.consumer.group.name = consumer,
            error = %format_args!("{error:#}"),
            "a consumer stopped by itself"
        ),
        None => info!(
            messaging.consumer.group.name = consumer,
            "a consumer has ended"
        ),
    }
    Ended { consumer, error }
}

/// Effects are final whose cursors could not be stored: once more, so that they do not happen again.
fn store_at_the_end<B, S, H>(consumer: &mut MessageConsumer<S, H>, connect: &Connect<B>)
where
    B: MessageSource + MessageConsumerState,
    S: EventSet,
{
    let connected = connect().map_err(|cause| Error::repository("connecting", cause, false));
    let stored = connected.and_then(|mut bus| consumer.store_unstored(&mut bus));
    if let Err(error) = stored {
        warn!(
            messaging.consumer.group.name = consumer.name(),
            error = %format_args!("{error:#}"),
            "cursors of messages that were handled are not stored: these will be handled again"
        );
    }
}

/// A message that fails was told of before; and that others are at work is nothing special, unless there is
/// no end to it.
fn tell(consumer: &str, error: &Error, failed_often: bool, next: Next) {
    let text = format_args!("{error:#}");
    let is_common = error.is_retryable() && !error.is_disconnected();
    let is_usual = is_common && !failed_often;
    if is_usual || error.attempts().is_some() {
        debug!(messaging.consumer.group.name = consumer, error = %text, ?next, "did not get on");
    } else {
        warn!(messaging.consumer.group.name = consumer, error = %text, ?next, "did not get on");
    }
}

/// A page if there may be one, on the connection there is or a new one.
fn attempt<B, S, H>(
    consumer: &mut MessageConsumer<S, H>,
    bus: &mut Option<B>,
    connect: &Connect<B>,
    progress: &Progress,
    nudges: u64,
) -> Outcome
where
    B: MessageSource + MessageConsumerState,
    S: EventSet,
    H: HandlePages<S, B>,
{
    let bus = match bus {
        Some(bus) => bus,
        None => match connect() {
            Ok(connected) => bus.insert(connected),
            Err(cause) => {
                let error = Error::repository("connecting", cause, false);
                return Outcome::Failed(error.of_consumer(consumer.name()));
            }
        },
    };
    // Handlers are guarded where they are called, so that it is known which message it was.
    let looked = catch_unwind(AssertUnwindSafe(|| look(consumer, bus, progress, nudges)));
    let looked = looked.unwrap_or_else(|panic| {
        let panicked = format!("it panicked: {}", text_of_panic(&*panic));
        Err(Error::repository("handling a page", panicked, false))
    });
    looked.unwrap_or_else(|error| Outcome::Failed(error.of_consumer(consumer.name())))
}

/// What is committed behind the question whether there are changes is a change for the next one.
fn look<B, S, H>(
    consumer: &mut MessageConsumer<S, H>,
    bus: &mut B,
    progress: &Progress,
    nudges: u64,
) -> Result<Outcome, Error>
where
    B: MessageSource + MessageConsumerState,
    S: EventSet,
    H: HandlePages<S, B>,
{
    let changes = bus.changes()?;
    let sign = changes.map(|changes| Sign { changes, nudges });
    if progress.can_rest(sign) {
        return Ok(Outcome::Unchanged);
    }
    Ok(match consumer.handle_pages_if_any(bus)? {
        None => Outcome::Nothing(sign),
        Some(handled) => Outcome::Handled(handled),
    })
}
