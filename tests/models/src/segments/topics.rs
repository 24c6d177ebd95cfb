//! How the segments of a consumer of two topics are replaced.
//!
//! The protocol: a poll reads where the topics end, and then the number of segments and `stop_at`. A
//! process works on a segment of its poll on all topics under one lease, up to the end that the poll
//! has read. If the cursors of all segments on all topics are at `stop_at`, one transaction replaces
//! the rows on all topics.
//!
//! Simplifications:
//!
//! - Two processes, two segments, and a message on each topic. Both messages belong to the first
//!   segment.
//! - A process takes a segment, handles its messages, stores the cursors and releases the segment in
//!   one step. The model of `handling` has these steps.
//! - `stop_at` is written on both topics in one step.

use stateright::Property;

use crate::check::{Checked, Protocol};
use crate::progress::Progress;

/// The first message is on the first topic, and the last message on the second one.
const LAST: u8 = 2;

/// The mechanisms of a run.
#[derive(Debug, Clone, Copy)]
pub struct Topics {
    /// The mechanisms with which segments are replaced.
    pub mechanisms: Mechanisms,
}

/// The mechanisms with which segments are replaced. A control lacks one of these.
#[derive(Debug, Clone, Copy)]
pub struct Mechanisms {
    /// The rows of all topics are replaced in one transaction, not topic by topic.
    pub replaces_all_topics_at_once: bool,
    /// The transaction that replaces the rows checks the cursors again.
    pub replacing_checks_again: bool,
}

impl Mechanisms {
    /// The complete protocol.
    pub const ALL: Self = Self {
        replaces_all_topics_at_once: true,
        replacing_checks_again: true,
    };
}

/// No cursor of a former segment is after the position at which the segments are replaced.
pub const NOTHING_REPEATS: &str = "nothing repeats";

/// The contents of the database and the memory of the processes.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
pub struct State {
    published: u8,
    topics: [Topic; 2],
    polls: [Poll; 2],
    /// The position that the operator has read for `stop_at`.
    operator: Option<u8>,
    has_resized: bool,
    /// For the laws only.
    has_repeated: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Hash)]
struct Topic {
    division: Division,
    /// The cursor of each segment.
    cursors: [u8; 2],
}

#[derive(Debug, Clone, Copy, PartialEq, Hash)]
enum Division {
    Former,
    StopsAt(u8),
    Replaced,
}

/// What a process has seen at its last poll.
#[derive(Debug, Clone, Copy, PartialEq, Hash)]
struct Poll {
    division: Division,
    bound: u8,
    /// Whether all cursors were at `stop_at`.
    is_there: bool,
}

/// An action of one participant, during which no other participant acts. The numbers identify a
/// process, and a segment or a topic.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step {
    /// Reads the ends of the topics, the number of segments and the cursors.
    Polls(usize),
    /// Takes a segment on all topics, handles its messages, and releases it.
    Works(usize, usize),
    /// Replaces the rows of all topics.
    Replaces(usize),
    /// Only in a control: replaces the rows of a topic.
    ReplacesOnTopic(usize, usize),
    /// A process sees a cursor after `stop_at`, and raises `stop_at`.
    RaisesStop,
    /// The last message becomes visible.
    IsPublished,
    /// The operator reads the position for `stop_at`.
    OperatorReads,
    /// The operator writes `stop_at`.
    OperatorSetsTarget,
}

impl State {
    /// Returns the division, if it is the same on both topics.
    fn division(&self) -> Option<Division> {
        let [first, second] = self.topics.map(|topic| topic.division);
        (first == second).then_some(first)
    }

    fn highest(&self) -> u8 {
        let cursors = self.topics.iter().flat_map(|topic| topic.cursors);
        cursors.max().unwrap_or(0)
    }

    /// Returns whether the segments of a topic have handled all up to a position, and no more.
    fn is_at(&self, topic: usize, stop_at: u8) -> bool {
        let mut cursors = self.topics[topic].cursors.iter();
        cursors.all(|cursor| (end(topic, stop_at)..=stop_at).contains(cursor))
    }

    fn polls(&self, process: usize) -> Option<Self> {
        let division = self.division()?;
        let stop_at = match division {
            Division::StopsAt(stop_at) => stop_at,
            Division::Former | Division::Replaced => LAST,
        };
        let mut next = *self;
        next.polls[process] = Poll {
            division,
            bound: self.published.min(stop_at),
            is_there: (0..2).all(|topic| self.is_at(topic, stop_at)),
        };
        Some(next)
    }

    fn works(&self, process: usize, segment: usize) -> Option<Self> {
        let Poll {
            division, bound, ..
        } = self.polls[process];
        let is_former = |division: Division| division != Division::Replaced;
        let mut next = *self;
        for (number, topic) in next.topics.iter_mut().enumerate() {
            // The take compares the slots of the rows.
            if is_former(topic.division) != is_former(division) {
                return None;
            }
            topic.cursors[segment] = topic.cursors[segment].max(end(number, bound));
        }
        Some(next)
    }

    fn is_replaced(&mut self, topic: usize, stop_at: u8) {
        self.has_repeated |= self.topics[topic].cursors.iter().any(|it| *it > stop_at);
        self.topics[topic] = Topic {
            division: Division::Replaced,
            cursors: [end(topic, stop_at); 2],
        };
    }
}

impl Topics {
    fn replaces(self, state: &State, process: usize, topics: &[usize]) -> Option<State> {
        let poll = state.polls[process];
        let goes_on = state.division().is_none();
        let mut next = *state;
        for topic in topics {
            let Division::StopsAt(stop_at) = state.topics[*topic].division else {
                return None;
            };
            let is_there = poll.division == state.topics[*topic].division && poll.is_there;
            let checks = self.mechanisms.replacing_checks_again;
            if !(is_there || goes_on) || checks && !state.is_at(*topic, stop_at) {
                return None;
            }
            next.is_replaced(*topic, stop_at);
        }
        Some(next)
    }
}

impl Protocol for Topics {
    type State = State;
    type Step = Step;
    type Mechanisms = Mechanisms;

    const NAME: &'static str = "segments, topics";

    fn mechanisms(&mut self) -> &mut Mechanisms {
        &mut self.mechanisms
    }

    fn start(&self) -> State {
        let poll = Poll {
            division: Division::Former,
            bound: 0,
            is_there: false,
        };
        State {
            published: 1,
            topics: [Topic {
                division: Division::Former,
                cursors: [0; 2],
            }; 2],
            polls: [poll; 2],
            operator: None,
            has_resized: false,
            has_repeated: false,
        }
    }

    fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for process in 0..2 {
            steps.push(Step::Polls(process));
            steps.extend((0..2).map(|segment| Step::Works(process, segment)));
            match self.mechanisms.replaces_all_topics_at_once {
                true => steps.push(Step::Replaces(process)),
                false => steps.extend((0..2).map(|topic| Step::ReplacesOnTopic(process, topic))),
            }
        }
        steps.extend([Step::RaisesStop, Step::IsPublished]);
        steps.extend([Step::OperatorReads, Step::OperatorSetsTarget]);
        steps
    }

    fn after(&self, state: &State, step: Step) -> Option<State> {
        let mut next = *state;
        match step {
            Step::Polls(process) => next = state.polls(process)?,
            Step::Works(process, segment) => next = state.works(process, segment)?,
            Step::Replaces(process) => next = self.replaces(state, process, &[0, 1])?,
            Step::ReplacesOnTopic(process, topic) => {
                next = self.replaces(state, process, &[topic])?;
            }
            Step::RaisesStop => {
                let Division::StopsAt(stop_at) = state.division()? else {
                    return None;
                };
                let raised = Division::StopsAt(stop_at.max(state.highest()));
                next.topics.iter_mut().for_each(|it| it.division = raised);
            }
            Step::IsPublished => next.published = LAST,
            Step::OperatorReads => {
                next.operator =
                    (!state.has_resized).then_some(state.published.max(state.highest()));
            }
            Step::OperatorSetsTarget => {
                let stops = Division::StopsAt(next.operator.take()?);
                next.topics.iter_mut().for_each(|it| it.division = stops);
                next.has_resized = true;
            }
        }
        (next != *state).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Checked<Self>>> {
        vec![
            Property::always(NOTHING_REPEATS, |_, state: &State| !state.has_repeated),
            Property::sometimes("all is done", |topics: &Checked<Self>, state: &State| {
                state.has_resized && state.published == LAST && topics.is_good(state)
            }),
        ]
    }
}

impl Progress for Topics {
    fn is_from_outside(&self, step: Step) -> bool {
        matches!(step, Step::IsPublished | Step::OperatorReads)
    }

    /// All messages are handled, and no change of the segments is unfinished.
    fn is_good(&self, state: &State) -> bool {
        let is_unfinished = |division| matches!(division, Division::StopsAt(_));
        let mut topics = state.topics.iter().enumerate();
        state.division().is_some_and(|it| !is_unfinished(it))
            && topics.all(|(topic, it)| it.cursors == [end(topic, state.published); 2])
    }
}

/// Returns the last message of a topic up to a position.
fn end(topic: usize, position: u8) -> u8 {
    let message = if topic == 0 { 1 } else { LAST };
    if message <= position { message } else { 0 }
}
