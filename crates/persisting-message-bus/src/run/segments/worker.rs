//! A thread that handles the messages of one segment after another.

use std::time::Instant;

use crate::backoff::full_jitter;
use crate::consume::consumer::MessageConsumer;
use crate::consume::handler::PageHandler;
use crate::consume::segments::fitting::Fitting;
use crate::error::Error;
use crate::message::topic::EventSet;
use crate::panics::catch;
use crate::run::connecting::{Connector, abandon};
use crate::run::segments::board::{Board, JobId};
use crate::run::step::{Next, Outcome, Pace, Progress};
use crate::run::thread::{log_failure, log_stop};
use crate::store::consumer_state::MessageConsumerState;
use crate::store::source::MessageSource;

/// A thread that handles segments until the board ends.
pub(super) struct Worker<'a, S, H, B> {
    consumer: MessageConsumer<S, H>,
    board: &'a Board,
    connector: &'a Connector<B>,
    pace: &'a Pace,
    fitting: Fitting,
    bus: Option<B>,
    /// How often this thread could not connect.
    connecting: Progress,
}

impl<'a, S, H, B> Worker<'a, S, H, B>
where
    S: EventSet,
    H: PageHandler<S, B>,
    B: MessageSource + MessageConsumerState + Send + 'static,
{
    pub(super) fn new(
        consumer: MessageConsumer<S, H>,
        board: &'a Board,
        connector: &'a Connector<B>,
        pace: &'a Pace,
    ) -> Self {
        Self {
            fitting: consumer.fitting(),
            consumer,
            board,
            connector,
            pace,
            bus: None,
            connecting: Progress::default(),
        }
    }

    /// Handles segments until the board ends.
    pub(super) fn run(mut self) {
        // A segment is taken only by a thread that has a connection to work on it.
        while self.connect() {
            let Some(job) = self.board.next() else { return };
            let id = job.id();
            self.consumer
                .begin_segment(job.segment, job.memory, job.ends);
            self.consumer.fit(&self.fitting);
            let mut outcome = self.handle();
            while self.consumer.keeps_segment() {
                self.rest(&outcome);
                if !self.connect() {
                    break;
                }
                outcome = self.handle();
            }
            self.put_back(id, outcome);
        }
    }

    /// Connects, unless it is connected. Returns `false` if the thread must end.
    fn connect(&mut self) -> bool {
        while !self.consumer.is_stopping() && !self.board.has_ended() {
            if self.bus.is_some() {
                return true;
            }
            match self.connector.connect(self.consumer.signals()) {
                Some(Ok(connected)) => self.bus = Some(connected),
                Some(Err(error)) => {
                    let error = error.of_consumer(self.consumer.name());
                    self.rest(&Outcome::NotConnected(error));
                }
                None => return false,
            }
        }
        false
    }

    /// Waits after a failure, and abandons the connection if it may be the cause.
    fn rest(&mut self, outcome: &Outcome) {
        let next = self.connecting.step(outcome, self.pace);
        if let Some(error) = outcome.error() {
            log_failure(self.consumer.name(), error, false, next);
        }
        match next {
            Next::ReconnectWithin(longest) => {
                self.abandon();
                self.consumer.signals().wait(full_jitter(longest), None);
            }
            Next::RetryWithin(longest) => {
                self.consumer.signals().wait(full_jitter(longest), None);
            }
            Next::RetryAfter(wait) | Next::Poll(wait) => {
                self.consumer.signals().wait(wait, None);
            }
            Next::GoOn | Next::Stop => {}
        }
    }

    fn abandon(&mut self) {
        if let Some(useless) = self.bus.take() {
            abandon(useless);
        }
    }

    /// Handles what fits into a time slice.
    fn handle(&mut self) -> Outcome {
        let Some(bus) = &mut self.bus else {
            return Outcome::Unchanged;
        };
        let (consumer, begun) = (&mut self.consumer, Instant::now());
        let handled = catch(|| consumer.handle_pages_if_any(bus)).unwrap_or_else(|text| {
            let panicked = format!("it panicked: {text}");
            Err(Error::permanent("handling a page", panicked))
        });
        match handled {
            Ok(None) => Outcome::Nothing(None),
            Ok(Some(handled)) => {
                self.fitting.note(handled, begun.elapsed());
                self.connecting = Progress::default();
                Outcome::Handled(handled)
            }
            Err(error) => {
                let error = error.of_segment(consumer.segment_number());
                Outcome::Failed(error.of_consumer(consumer.name()))
            }
        }
    }

    /// Puts the segment back on the board, and logs a failure.
    fn put_back(&mut self, id: JobId, outcome: Outcome) {
        let memory = self.consumer.end_segment();
        let (next, failures) = self.board.step(id, &outcome, self.pace);
        match outcome.error() {
            // Another process works on it.
            Some(error) if error.is_lease_held() => {}
            Some(error) if next == Next::Stop => log_stop(self.consumer.name(), error),
            Some(error) => {
                let failed_often = failures >= self.pace.retry.at_most();
                log_failure(self.consumer.name(), error, failed_often, next);
            }
            None => {}
        }
        self.board.put_back(id, memory, outcome, next);
        if matches!(next, Next::ReconnectWithin(_)) {
            self.abandon();
        }
    }
}
