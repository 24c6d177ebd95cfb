//! Checks every state of a protocol.

use std::fmt::Debug;
use std::hash::Hash;
use std::ops::Deref;

use stateright::{Checker, Expectation, Model, Property};

/// A protocol as a state machine: the steps that each participant can take in each state.
pub trait Protocol: Send + Sync + Sized + 'static {
    /// The contents of the databases and the memory of the processes.
    type State: Clone + Debug + PartialEq + Hash + Send + Sync + 'static;

    /// An action of one participant, during which no other participant acts.
    type Step: Copy + Debug + PartialEq + Send + Sync + 'static;

    /// The mechanisms of the protocol, each of which a control can remove.
    type Mechanisms;

    /// The name of the model in the list of runs.
    const NAME: &'static str;

    /// Returns the mechanisms that the protocol has.
    fn mechanisms(&mut self) -> &mut Self::Mechanisms;

    /// Returns the state before the first step.
    fn start(&self) -> Self::State;

    /// Returns all steps that can be taken in some state.
    fn steps(&self) -> Vec<Self::Step>;

    /// Returns the state after a step, or `None` if the step cannot be taken.
    fn after(&self, state: &Self::State, step: Self::Step) -> Option<Self::State>;

    /// Returns the laws, which hold in every state (`always`), and the conditions that some state
    /// must meet, so that no run is empty (`sometimes`).
    fn properties(&self) -> Vec<Property<Checked<Self>>>;
}

/// A protocol in the form that the checker accepts.
#[derive(Debug)]
pub struct Checked<P: Protocol> {
    protocol: P,
    steps: Vec<P::Step>,
    /// The only property that is checked, if it is known to be violated.
    ///
    /// If the checker has other properties to check, it keeps the last violation of a block of
    /// states instead of the first.
    only: Option<&'static str>,
    /// The property that is not checked, because it is known to be violated.
    but_for: Option<&'static str>,
}

impl<P: Protocol> Checked<P> {
    fn new(protocol: P) -> Self {
        let steps = protocol.steps();
        Self {
            protocol,
            steps,
            only: None,
            but_for: None,
        }
    }

    /// Returns `true` if no step can be taken any more.
    pub fn is_at_an_end(&self, state: &P::State) -> bool {
        let mut steps = self.steps.iter();
        !steps.any(|step| self.protocol.after(state, *step).is_some())
    }
}

impl<P: Protocol> Deref for Checked<P> {
    type Target = P;

    fn deref(&self) -> &P {
        &self.protocol
    }
}

impl<P: Protocol> Model for Checked<P> {
    type State = P::State;
    type Action = P::Step;

    fn init_states(&self) -> Vec<P::State> {
        vec![self.protocol.start()]
    }

    fn actions(&self, _: &P::State, actions: &mut Vec<P::Step>) {
        actions.extend_from_slice(&self.steps);
    }

    fn next_state(&self, state: &P::State, step: P::Step) -> Option<P::State> {
        self.protocol.after(state, step)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = self.protocol.properties();
        if let Some(only) = self.only {
            properties.retain(|property| property.name == only);
            assert_eq!(properties.len(), 1, "one property \"{only}\"");
        }
        properties.retain(|property| self.but_for != Some(property.name));
        properties
    }
}

/// Returns `true` if the runs that take minutes and gigabytes are wanted too (`MODELS=all`).
#[must_use]
pub fn all_are_wanted() -> bool {
    std::env::var("MODELS").is_ok_and(|wanted| wanted == "all")
}

/// Checks that a protocol keeps all of its laws in every state, and that it reaches each state that
/// it must reach.
///
/// # Panics
///
/// If it does not.
pub fn holds<P: Protocol>(bounds: &str, protocol: P) {
    holds_all(bounds, Checked::new(protocol));
}

/// Checks that a protocol keeps all of its laws but one.
///
/// # Panics
///
/// If it does not.
pub fn holds_but_for<P: Protocol>(bounds: &str, protocol: P, law: &'static str) {
    let but_for = Some(law);
    holds_all(
        bounds,
        Checked {
            but_for,
            ..Checked::new(protocol)
        },
    );
}

fn holds_all<P: Protocol>(bounds: &str, checked: Checked<P>) {
    let threads = if all_are_wanted() { 2 } else { 1 };
    let checker = checked.checker().threads(threads);
    let checker = checker.spawn_bfs().join();
    let discoveries = checker.discoveries();
    for property in checker.model().properties() {
        let discovery = discoveries.get(property.name);
        match (property.expectation, discovery) {
            (Expectation::Always, Some(path)) => {
                let steps = path.clone().into_actions();
                panic!(
                    "{}, {bounds}: violated: {}:{}\n{:?}",
                    P::NAME,
                    property.name,
                    listed(&steps),
                    path.last_state()
                );
            }
            (Expectation::Sometimes, None) => {
                panic!("{}, {bounds}: never reached: {}", P::NAME, property.name);
            }
            _ => {}
        }
    }
    print::<P>(bounds, "holds", &checker);
}

/// Checks that a protocol violates one of its laws without a mechanism, and that `expected` is the
/// shortest path to the violation, as [`finds`] does.
///
/// # Panics
///
/// If the law holds, or if the checker finds another path.
pub fn control<P: Protocol>(
    lacks: &str,
    mut protocol: P,
    remove: impl FnOnce(&mut P::Mechanisms),
    law: &'static str,
    expected: &[&[P::Step]],
) {
    remove(protocol.mechanisms());
    finds(&format!("control, {lacks}"), protocol, law, expected);
}

/// Checks that a protocol violates one of its laws, and that `expected` is the shortest path to the
/// violation. The groups of steps only make the path readable.
///
/// # Panics
///
/// If the law holds, or if the checker finds another path.
pub fn finds<P: Protocol>(bounds: &str, protocol: P, law: &'static str, expected: &[&[P::Step]]) {
    let checked = Checked {
        only: Some(law),
        ..Checked::new(protocol)
    };
    let checker = checked.checker().threads(1).spawn_bfs().join();
    let Some(path) = checker.discovery(law) else {
        panic!("{}, {bounds}: not violated: {law}", P::NAME);
    };
    let last = path.last_state().clone();
    let steps = path.into_actions();
    assert!(
        steps == expected.concat(),
        "{}, {bounds}: another path to violate: {law}:{}\n{last:?}",
        P::NAME,
        listed(&steps)
    );
    print::<P>(bounds, "found", &checker);
}

pub(crate) fn listed<S: Debug>(steps: &[S]) -> String {
    let lines = steps.iter().map(|step| format!("\n    {step:?},"));
    lines.collect()
}

fn print<P: Protocol>(bounds: &str, verdict: &str, checker: &impl Checker<Checked<P>>) {
    println!(
        "{}: {bounds}: {verdict}, {} states, depth {}",
        P::NAME,
        checker.unique_state_count(),
        checker.max_depth()
    );
}
