use std::any::Any;
use std::error::Error as StdError;

use super::retry::up_to;
use super::signals::Signals;
use super::step::{Next, Outcome, Pace, Progress};
use crate::consumer::text_of_panic;
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
    connect: &dyn Fn() -> Result<B, Box<dyn StdError + Send + Sync>>,
    signals: &Signals,
    pace: &Pace,
) -> Ended
where
    B: MessageSource + MessageConsumerState,
    S: EventSet,
    H: HandlePages<S, B>,
{
    let mut bus = None;
    let mut progress = Progress::default();
    let mut error = None;
    while !signals.is_stopping() {
        let nudges = signals.nudges();
        let outcome = attempt(&mut consumer, &mut bus, connect);
        match progress.step(&outcome, pace) {
            Next::GoOn => {}
            Next::Poll(wait) => signals.wait(wait, Some(nudges)),
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
    Ended {
        consumer: consumer.name().to_owned(),
        error,
    }
}

/// A page, on the connection there is or a new one.
fn attempt<B, S, H>(
    consumer: &mut MessageConsumer<S, H>,
    bus: &mut Option<B>,
    connect: &dyn Fn() -> Result<B, Box<dyn StdError + Send + Sync>>,
) -> Outcome
where
    B: MessageSource + MessageConsumerState,
    S: EventSet,
    H: HandlePages<S, B>,
{
    let handled = match bus {
        Some(bus) => consumer.handle_new_messages(bus),
        None => match connect() {
            Ok(connected) => consumer.handle_new_messages(bus.insert(connected)),
            Err(cause) => Err(Error::repository("connecting", cause, true)),
        },
    };
    match handled {
        Ok(handled) => Outcome::Handled(handled),
        Err(error) => Outcome::Failed(error),
    }
}
