//! Looking at every state of a protocol.

use std::fmt::Debug;
use std::hash::Hash;
use std::ops::Deref;

use stateright::{Checker, Expectation, Model, Property};

/// A protocol as a state machine: who can do what in which state.
pub trait Protocol: Send + Sync + Sized + 'static {
    /// All that the databases and the processes know.
    type State: Clone + Debug + PartialEq + Hash + Send + Sync + 'static;

    /// What somebody does without anybody coming between.
    type Step: Copy + Debug + PartialEq + Send + Sync + 'static;

    /// What the model is called where its runs are listed.
    const NAME: &'static str;

    /// Before anybody has done anything.
    fn start(&self) -> Self::State;

    /// All steps that somebody can take in some state.
    fn steps(&self) -> Vec<Self::Step>;

    /// The state after a step; `None` where it cannot be taken.
    fn after(&self, state: &Self::State, step: Self::Step) -> Option<Self::State>;

    /// What holds in every state (`always`), and what some state shows, so that no run is empty
    /// (`sometimes`).
    fn properties(&self) -> Vec<Property<Checked<Self>>>;
}

/// A protocol in the form that the checker takes.
#[derive(Debug)]
pub struct Checked<P: Protocol> {
    protocol: P,
    steps: Vec<P::Step>,
    /// The only property that is looked at, where it is known to be violated.
    ///
    /// The checker keeps the last violation of a block of states instead of the first, unless it has
    /// nothing else to look for.
    only: Option<&'static str>,
    /// The property that is not looked at, where it is known to be violated.
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

    /// Whether nobody can do anything any more.
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

/// Whether the runs that take minutes and gigabytes are wanted too: `MODELS=all`.
#[must_use]
pub fn all_are_wanted() -> bool {
    std::env::var("MODELS").is_ok_and(|wanted| wanted == "all")
}

/// Checks that a protocol keeps all of its laws in every state, and shows what it has to show.
///
/// # Panics
///
/// Where it does not.
pub fn holds<P: Protocol>(bounds: &str, protocol: P) {
    holds_all(bounds, Checked::new(protocol));
}

/// Checks that a protocol keeps all of its laws but one.
///
/// # Panics
///
/// Where it does not.
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
                    "{}, {bounds}: not true that {}:{}\n{:?}",
                    P::NAME,
                    property.name,
                    listed(&steps),
                    path.last_state()
                );
            }
            (Expectation::Sometimes, None) => {
                panic!("{}, {bounds}: never seen: {}", P::NAME, property.name);
            }
            _ => {}
        }
    }
    print::<P>(bounds, "holds", &checker);
}

/// Checks that a protocol violates one of its laws, and that this is the shortest way to do so.
///
/// # Panics
///
/// Where that is not so.
pub fn finds<P: Protocol>(bounds: &str, protocol: P, law: &'static str, expected: &[P::Step]) {
    let checked = Checked {
        only: Some(law),
        ..Checked::new(protocol)
    };
    let checker = checked.checker().threads(1).spawn_bfs().join();
    let Some(path) = checker.discovery(law) else {
        panic!("{}, {bounds}: it holds that {law}", P::NAME);
    };
    let last = path.last_state().clone();
    let steps = path.into_actions();
    assert!(
        steps == expected,
        "{}, {bounds}: another way to violate that {law}:{}\n{last:?}",
        P::NAME,
        listed(&steps)
    );
    print::<P>(bounds, "found", &checker);
}

fn listed<S: Debug>(steps: &[S]) -> String {
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
