//! Looks which segments have messages, and puts them on the board.

use std::time::{Duration, Instant};

use crate::backoff::full_jitter;
use crate::consume::consumer::MessageConsumer;
use crate::consume::ends::Ends;
use crate::consume::handler::PageHandler;
use crate::consume::segments::look::{Look, News};
use crate::error::Error;
use crate::message::topic::EventSet;
use crate::observe;
use crate::panics::catch;
use crate::run::arrival::Arrival;
use crate::run::connecting::{Connector, abandon};
use crate::run::segments::board::{Board, Found};
use crate::run::segments::waits::Waits;
use crate::run::step::{ChangeToken, Next, Outcome, Pace, Progress};
use crate::run::thread::log_failure;
use crate::signals::Signals;
use crate::store::consumer_state::MessageConsumerState;
use crate::store::segment::Division;
use crate::store::source::MessageSource;

/// The most slots that are read to know which segments have messages. If there are more messages, all
/// segments are looked at.
const MOST_SLOTS: usize = 10_000;

/// The longest interval between looks while the threads have enough to do.
const BUSY_INTERVAL: Duration = Duration::from_millis(500);

/// How much longer than a look the coordinator waits after it, while segments are worked on. A look
/// reads a row of each segment. A thread may wait as long for its next segment.
const PAUSE: u32 = 4;
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// The interval at which all segments are looked at, so that the cursors of segments without messages
/// follow, and nothing depends on what a process has noted.
const LOOK_AT_ALL: Duration = Duration::from_secs(60);

/// Looks which segments have messages until the consumer ends.
pub(super) struct Coordinator<'a, S, H, B> {
    consumer: &'a mut MessageConsumer<S, H>,
    wanted: Division,
    board: &'a Board,
    connector: &'a Connector<B>,
    signals: &'a Signals,
    arrival: &'a Arrival,
    pace: &'a Pace,
    bus: Option<B>,
    progress: Progress,
    /// What the last look has found.
    found: Option<Found>,
    /// The division and the ends of the topics in the last look.
    seen: Option<(Division, Ends)>,
    looked_at_all: Option<Instant>,
    /// The duration of the last look.
    look_took: Duration,
    waits: Waits,
}

impl<'a, S, H, B> Coordinator<'a, S, H, B>
where
    S: EventSet,
    H: PageHandler<S, B>,
    B: MessageSource + MessageConsumerState + Send + 'static,
{
    pub(super) fn new(
        consumer: &'a mut MessageConsumer<S, H>,
        wanted: Division,
        board: &'a Board,
        connector: &'a Connector<B>,
        (signals, arrival, pace): (&'a Signals, &'a Arrival, &'a Pace),
    ) -> Self {
        Self {
            consumer,
            wanted,
            board,
            connector,
            signals,
            arrival,
            pace,
            bus: None,
            progress: Progress::default(),
            found: None,
            seen: None,
            looked_at_all: None,
            look_took: Duration::ZERO,
            waits: Waits::default(),
        }
    }

    /// Looks until a stop, or until no segment is tried again. Returns the error if it can never work.
    pub(super) fn run(&mut self) -> Option<Error> {
        let mut never_looked = None;
        while !self.signals.is_stopping() {
            // Read before the look, so that a wake during the look is not missed.
            let wakes = self.signals.wakes();
            let outcome = self.attempt(wakes);
            let next = self.progress.step(&outcome, self.pace);
            // Another process divides the consumer at the moment.
            let waits = outcome.error().is_some_and(Error::is_lease_held);
            if let Some(error) = outcome.error().filter(|_| waits) {
                self.waits.for_division(self.consumer, error);
            } else if let Some(error) = outcome.error() {
                let failed_often = self.progress.failures() >= self.pace.retry.at_most();
                log_failure(self.consumer.name(), error, failed_often, next);
            }
            if next == Next::Stop {
                return outcome.into_error();
            }
            self.wait(next, wakes);
            let found = self.found;
            if found.is_some_and(|found| found.has_stopped) {
                return None;
            }
            match outcome {
                // It has not looked. It may be stopping.
                Outcome::Unchanged => {}
                outcome => {
                    let error = outcome.into_error();
                    never_looked = error.filter(|_| found.is_none() && !waits);
                }
            }
        }
        never_looked
    }

    fn wait(&mut self, next: Next, wakes: u64) {
        let board = self.board;
        let is_busy = self.found.is_some_and(|found| !found.is_done);
        if is_busy && matches!(next, Next::GoOn | Next::Poll(_)) {
            let pause = self.look_took.saturating_mul(PAUSE);
            self.signals.wait(pause.min(LONGEST_PAUSE), None);
        }
        match next {
            // The threads have enough to do. Afterwards, the next look finds what is new.
            Next::GoOn => {
                // A pause, and messages of other segments, are noticed meanwhile.
                let longest = self.pace.idle_interval.min(BUSY_INTERVAL);
                self.signals
                    .wait_unless(longest, None, || board.is_used_up());
            }
            Next::Poll(longest) => {
                let rests_until = self.found.and_then(|found| found.rests_until);
                let rests =
                    rests_until.map(|until| until.saturating_duration_since(Instant::now()));
                let wait = rests.map_or(longest, |rests| rests.min(longest));
                self.signals
                    .wait_unless(wait, Some(wakes), || board.wants_look());
            }
            Next::RetryAfter(wait) => self.signals.wait(wait, None),
            Next::RetryWithin(longest) => self.signals.wait(full_jitter(longest), None),
            Next::ReconnectWithin(longest) => {
                if let Some(useless) = self.bus.take() {
                    abandon(useless);
                }
                self.signals.wait(full_jitter(longest), None);
            }
            Next::Stop => {}
        }
    }

    /// Looks once, on the present connection or a new one.
    fn attempt(&mut self, wakes: u64) -> Outcome {
        let mut bus = match self.bus.take() {
            Some(bus) => bus,
            None => match self.connector.connect(self.signals) {
                Some(Ok(connected)) => connected,
                Some(Err(error)) => {
                    let outcome = Outcome::NotConnected(error.of_consumer(self.consumer.name()));
                    self.arrival.note(&outcome, None, false);
                    return outcome;
                }
                // The consumer stops.
                None => return Outcome::Unchanged,
            },
        };
        let begun = Instant::now();
        let looked = catch(|| self.look(&mut bus, wakes)).unwrap_or_else(|text| {
            let panicked = format!("it panicked: {text}");
            Err(Error::permanent("looking at the segments", panicked))
        });
        self.bus = Some(bus);
        self.look_took = begun.elapsed();
        looked.unwrap_or_else(|error| {
            let outcome = Outcome::Failed(error.of_consumer(self.consumer.name()));
            self.arrival.note(&outcome, None, false);
            outcome
        })
    }

    fn look(&mut self, bus: &mut B, wakes: u64) -> Result<Outcome, Error> {
        let question = self.arrival.prepare(self.consumer, bus)?;
        let changes = bus.change_token()?;
        let token = changes.map(|changes| ChangeToken { changes, wakes });
        let is_done = self.found.is_some_and(|found| found.is_done);
        if is_done && !self.board.has_changed() && self.progress.can_rest(token) {
            return Ok(Outcome::Unchanged);
        }
        let Some(look) = self.consumer.look_divided(bus, self.wanted)? else {
            return Ok(Outcome::Handled(0));
        };
        let news = self.news(bus, &look)?;
        let found = self.board.note(&look, news.as_deref());
        self.found = Some(found);
        observe::segments(self.consumer.name(), found.ready, found.working);
        // While the number of segments changes, messages after the position are not on the board.
        let is_done = found.is_done && look.division.resize.is_none();
        let outcome = match (found.ready, is_done) {
            (0, true) => Outcome::Nothing(token),
            (0, false) => Outcome::Handled(0),
            (ready, _) => Outcome::Handled(ready),
        };
        let question = question.filter(|_| is_done);
        self.arrival.note(&outcome, question, look.is_paused);
        if look.is_paused {
            self.arrival.note(&Outcome::Nothing(token), None, true);
        } else if let Some(error) = self.board.failing() {
            self.arrival.hindered(error);
        } else if let Some(waits) = self.consumer.hinders_resizing(&look) {
            self.waits.for_change(self.consumer, &waits);
            self.arrival.hindered(waits);
        } else {
            self.waits.for_no_change();
        }
        self.waits.for_holders(self.consumer, &look);
        Ok(outcome)
    }

    /// Returns the segments that have messages since the last look; `None` if any segment may have
    /// some.
    fn news(&mut self, bus: &mut B, look: &Look) -> Result<Option<Vec<News>>, Error> {
        let before = self.seen.replace((look.division, look.ends.clone()));
        let is_recent = self
            .looked_at_all
            .is_some_and(|at| at.elapsed() < LOOK_AT_ALL);
        let news = match before {
            Some((division, ends)) if division == look.division && is_recent => {
                let news = self.consumer.news(bus, look, &ends, MOST_SLOTS);
                news.inspect_err(|_| self.seen = None)?
            }
            _ => None,
        };
        // While the number of segments changes, all cursors must reach the end.
        let news = news.filter(|_| look.division.resize.is_none());
        if news.is_none() {
            self.looked_at_all = Some(Instant::now());
        }
        Ok(news)
    }
}
