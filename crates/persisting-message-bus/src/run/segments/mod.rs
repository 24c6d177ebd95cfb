//! Runs a consumer on many threads, each on one segment at a time.
//!
//! A coordinator looks which segments have messages, and puts them on the board in the order in which
//! they have waited. Each thread takes the next segment from the board, handles what fits into a time
//! slice, and puts its memory back.

mod board;
mod coordinator;
mod desk;
mod waits;
mod worker;

use std::sync::Arc;
use std::thread;

use tracing::info;

use crate::consume::handler::PageHandler;
use crate::consume::segments::parallel::ParallelConsumer;
use crate::error::Error;
use crate::message::topic::EventSet;
use crate::observe;
use crate::panics::catch;
use crate::run::arrival::Arrival;
use crate::run::connecting::{Connect, Connector};
use crate::run::heartbeat::Heartbeat;
use crate::run::segments::board::{Board, Own};
use crate::run::segments::coordinator::Coordinator;
use crate::run::segments::worker::Worker;
use crate::run::step::Pace;
use crate::run::surroundings::Surroundings;
use crate::run::thread::{ConsumerExit, log_stop};
use crate::signals::Signals;
use crate::store::consumer_state::MessageConsumerState;
use crate::store::source::MessageSource;

/// Runs a consumer until it ends.
pub(super) fn run<B, S, H>(
    parallel: &ParallelConsumer<S, H>,
    connect: &Arc<Connect<B>>,
    signals: &Arc<Signals>,
    arrival: &Arrival,
    with: Surroundings,
) -> ConsumerExit
where
    B: MessageSource + MessageConsumerState + Send + 'static,
    S: EventSet,
    H: PageHandler<S, B> + Send,
{
    let mut consumers: Vec<_> = (0..parallel.threads)
        .map(|_| (parallel.make)().stopped_by(Arc::clone(signals)))
        .collect();
    let mut looking = (parallel.make)().stopped_by(Arc::clone(signals));
    let pace = Pace {
        retry: looking.retry_or(with.pace.retry),
        ..with.pace
    };
    for consumer in &mut consumers {
        consumer.retry_or(pace.retry);
        consumer.works_with(&looking);
    }
    let name = looking.name().to_owned();
    if let Some(other) = consumers.iter().find(|it| !it.is_alike(&looking)) {
        let problem = format!(
            "the closure of the ParallelConsumer must return consumers of one name and lease duration, and \
             it has returned \"{name}\" and \"{}\": let it capture nothing that changes",
            other.name()
        );
        let error = Error::permanent("starting the threads", problem).of_consumer(&name);
        log_stop(&name, &error);
        return ConsumerExit {
            consumer: name,
            error: Some(error),
        };
    }
    if let Err(refused) = looking.check_no_hook::<B>() {
        let error = refused.of_consumer(&name);
        log_stop(&name, &error);
        return ConsumerExit {
            consumer: name,
            error: Some(error),
        };
    }
    info!(
        messaging.consumer.group.name = name,
        threads = consumers.len(),
        "consumer started"
    );
    let _heartbeat = H::NEEDS_HEARTBEAT.then(|| {
        let held = consumers.iter().map(|it| Arc::clone(it.held_leases().0));
        let (_, lease_duration) = looking.held_leases();
        Heartbeat::start(held.collect(), lease_duration, Arc::clone(connect))
    });
    let connector = Connector::new(Arc::clone(connect), pace.connect_timeout, with.needed);
    let board = Board::new(Arc::clone(signals), Own::of(&looking));
    let error = thread::scope(|scope| {
        for (index, consumer) in consumers.into_iter().enumerate() {
            let worker = Worker::new(consumer, &board, &connector, &pace);
            let inside = with.inside.clone();
            let started = thread::Builder::new().spawn_scoped(scope, move || {
                inside.run(|| worker.run());
            });
            if let Err(cause) = started {
                board.end();
                let doing = format!("starting thread {} of {}", index + 1, parallel.threads);
                return Some(Error::permanent(doing, cause).of_consumer(&name));
            }
        }
        let waits = (&**signals, arrival, &pace);
        let mut coordinator =
            Coordinator::new(&mut looking, parallel.wanted, &board, &connector, waits);
        // The threads end also after a panic, so that the scope does not wait for them.
        let error = catch(|| coordinator.run());
        board.end();
        error.unwrap_or_else(|text| Some(Error::permanent("running", text).of_consumer(&name)))
    });
    observe::segments(&name, 0, 0);
    board.store_unstored(&mut looking, &connector);
    let error = error.or_else(|| board.first_error());
    match &error {
        Some(error) => log_stop(&name, error),
        None => info!(messaging.consumer.group.name = name, "consumer ended"),
    }
    ConsumerExit {
        consumer: name,
        error,
    }
}
