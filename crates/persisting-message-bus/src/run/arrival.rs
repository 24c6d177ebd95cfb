//! How far a consumer of a runner has come, for callers that wait for it.

use std::sync::{Arc, Mutex};

use crate::consume::consumer::MessageConsumer;
use crate::error::Error;
use crate::locks::lock;
use crate::message::topic::EventSet;
use crate::position::Position;
use crate::run::step::Outcome;
use crate::store::source::MessageSource;

/// Whether a consumer has handled the messages that were committed when a caller asked.
///
/// After the question, the consumer reads the last position of its source. It has arrived when a poll
/// is empty and begins with a high-water mark at or after that position. An empty poll alone is not
/// enough: a transaction in flight can hold back messages that were committed.
#[derive(Debug, Default)]
pub(crate) struct Arrival(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The number of questions so far.
    asked: u64,
    /// The last question that is answered.
    answered: u64,
    /// The last position of the source when the question was first seen.
    goal: Option<Goal>,
    /// The reason why the consumer has not arrived, as far as it is known.
    hindrance: Option<String>,
    /// Whether the consumer has ended, so that it cannot arrive.
    has_ended: bool,
}

#[derive(Debug, Clone, Copy)]
struct Goal {
    question: u64,
    position: Position,
}

/// The arrivals of the consumers of a runner, by their names.
pub(crate) type Arrivals = Vec<(String, Arc<Arrival>)>;

impl Arrival {
    /// Asks the consumer, which then polls at its next wake.
    fn ask(&self) {
        lock(&self.0).asked += 1;
    }

    /// Returns whether the consumer has arrived since it was last asked.
    fn has_arrived(&self) -> bool {
        let state = lock(&self.0);
        state.answered == state.asked
    }

    /// Returns the reason why the consumer has not arrived.
    fn hindrance(&self) -> String {
        let hindrance = lock(&self.0).hindrance.clone();
        hindrance
            .unwrap_or_else(|| "it has not polled yet, or is still handling messages".to_owned())
    }

    /// Returns the question that an empty poll after this call answers, if there is one.
    pub(super) fn prepare<B, S, H>(
        &self,
        consumer: &mut MessageConsumer<S, H>,
        bus: &mut B,
    ) -> Result<Option<u64>, Error>
    where
        B: MessageSource,
        S: EventSet,
    {
        let Some((question, known)) = self.question() else {
            return Ok(None);
        };
        let goal = match known {
            Some(goal) if goal.question == question => goal.position,
            _ => bus.last_position()?,
        };
        let high_water_mark = consumer.high_water_mark(bus)?;
        let mut state = lock(&self.0);
        state.goal = Some(Goal {
            question,
            position: goal,
        });
        if high_water_mark >= goal {
            return Ok(Some(question));
        }
        state.hindrance = Some(format!(
            "messages after position {high_water_mark} wait for a transaction in flight that publishes on \
             its topics: end it"
        ));
        Ok(None)
    }

    /// Returns the question that is not answered, and the goal as it is known.
    fn question(&self) -> Option<(u64, Option<Goal>)> {
        let state = lock(&self.0);
        (state.answered < state.asked).then_some((state.asked, state.goal))
    }

    /// Notes the outcome of a poll. `question` is the result of [`prepare`](Self::prepare) before it.
    pub(super) fn note(&self, outcome: &Outcome, question: Option<u64>, is_paused: bool) {
        let mut state = lock(&self.0);
        match outcome {
            Outcome::Nothing(_) if is_paused => {
                state.hindrance = Some("it is paused".to_owned());
            }
            Outcome::Nothing(_) => {
                if let Some(question) = question {
                    state.answered = question;
                }
                // Otherwise, `prepare` has noted what this poll waits for.
                if state.answered == state.asked {
                    state.hindrance = None;
                }
            }
            Outcome::Unchanged => {}
            Outcome::Handled(_) => state.hindrance = None,
            Outcome::Failed(error) | Outcome::NotConnected(error) => {
                state.hindrance = Some(format!("{error:#}"));
            }
        }
    }

    /// Notes the reason why a part of the consumer has not arrived.
    pub(super) fn hindered(&self, reason: String) {
        lock(&self.0).hindrance = Some(reason);
    }

    /// Notes that the consumer has ended.
    pub(super) fn ended(&self, error: Option<&Error>) {
        let reason = error.map_or_else(String::new, |error| format!(": {error:#}"));
        let mut state = lock(&self.0);
        state.hindrance = Some(format!("it has ended{reason}"));
        state.has_ended = true;
    }
}

/// Returns the names of the consumers that have not ended.
#[cfg(feature = "diesel-async-0_9")]
pub(crate) fn still_running(arrivals: &Arrivals) -> Vec<String> {
    let running = arrivals.iter().filter(|(_, it)| !lock(&it.0).has_ended);
    running.map(|(name, _)| name.clone()).collect()
}

/// Asks all consumers.
pub(crate) fn ask(arrivals: &Arrivals) {
    arrivals.iter().for_each(|(_, arrival)| arrival.ask());
}

/// Returns whether nothing can change the answer: all have arrived, or one has ended before.
pub(crate) fn is_settled(arrivals: &Arrivals) -> bool {
    let cannot = |it: &Arrival| !it.has_arrived() && lock(&it.0).has_ended;
    arrivals.iter().any(|(_, it)| cannot(it)) || arrivals.iter().all(|(_, it)| it.has_arrived())
}

/// Consumers that had not handled all messages in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "waiting for consumers timed out or cannot end: {}; wait longer, or mend what each reason names",
    consumers.iter().map(|(name, why)| format!("\"{name}\" has not caught up: {why}"))
        .collect::<Vec<_>>().join("; ")
)]
pub struct NotCaughtUp {
    /// The names of the consumers, each with the reason why it has not caught up.
    pub consumers: Vec<(String, String)>,
}

impl NotCaughtUp {
    /// Returns the error, unless all consumers have arrived.
    pub(crate) fn check(arrivals: &Arrivals) -> Result<(), Self> {
        let late = arrivals.iter().filter(|(_, it)| !it.has_arrived());
        let reason = |(name, it): &(String, Arc<Arrival>)| (name.clone(), it.hindrance());
        let consumers: Vec<_> = late.map(reason).collect();
        if consumers.is_empty() {
            Ok(())
        } else {
            Err(Self { consumers })
        }
    }
}
