//! Checks that a protocol cannot get stuck.
//!
//! A state is *stuck* if no good state can be reached from it without further faults. A law on
//! single states cannot express this, so the check visits all states and then follows the steps
//! backwards from the good states. Whether a good state is reached in the end also depends on the
//! scheduler, which the check leaves out.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::check::{Protocol, listed};

/// A protocol that must be able to continue.
pub trait Progress: Protocol {
    /// Returns `true` if the step is a fault, or an action from outside that may never happen.
    fn is_from_outside(&self, step: Self::Step) -> bool;

    /// Returns `true` if the work of the run is done.
    fn is_good(&self, state: &Self::State) -> bool;

    /// Returns `true` if the bounds leave enough steps to reach a good state.
    fn is_judged(&self, _state: &Self::State) -> bool {
        true
    }
}

/// Checks that a good state can be reached from every state.
///
/// # Panics
///
/// If a state is stuck.
pub fn continues<P: Progress>(bounds: &str, protocol: &P) {
    let graph = Graph::of(protocol);
    if let Some(stuck) = graph.first_stuck(protocol) {
        let state = &graph.states[stuck];
        let steps = listed(&graph.path(stuck));
        panic!("{}, {bounds}: stuck after:{steps}\n{state:?}", P::NAME);
    }
    print::<P>(bounds, "continues", &graph);
}

/// Checks that a protocol gets stuck without a mechanism, and that `expected` is a shortest path to
/// a stuck state.
///
/// # Panics
///
/// If no state is stuck, or if the path is another one.
pub fn gets_stuck<P: Progress>(
    lacks: &str,
    mut protocol: P,
    remove: impl FnOnce(&mut P::Mechanisms),
    expected: &[&[P::Step]],
) {
    remove(protocol.mechanisms());
    let graph = Graph::of(&protocol);
    let Some(stuck) = graph.first_stuck(&protocol) else {
        panic!("{}, control, {lacks}: no state is stuck", P::NAME);
    };
    let steps = graph.path(stuck);
    assert!(
        steps == expected.concat(),
        "{}, control, {lacks}: another path to a stuck state:{}\n{:?}",
        P::NAME,
        listed(&steps),
        graph.states[stuck]
    );
    print::<P>(&format!("control, {lacks}"), "stuck", &graph);
}

/// All states, in the order of their distance from the start.
struct Graph<P: Protocol> {
    states: Vec<P::State>,
    /// The step that first reached a state, and the state before it.
    reached_by: Vec<Option<(usize, P::Step)>>,
    /// For each state, the states before it, without the steps from outside.
    before: Vec<Vec<u32>>,
}

impl<P: Progress> Graph<P> {
    fn of(protocol: &P) -> Self {
        let steps = protocol.steps();
        let mut graph = Self {
            states: vec![protocol.start()],
            reached_by: vec![None],
            before: vec![Vec::new()],
        };
        let mut numbers = HashMap::from([(fingerprint(&graph.states[0]), 0)]);
        let mut from = 0;
        while from < graph.states.len() {
            for step in &steps {
                let Some(next) = protocol.after(&graph.states[from], *step) else {
                    continue;
                };
                let to = *numbers.entry(fingerprint(&next)).or_insert_with(|| {
                    graph.states.push(next);
                    graph.reached_by.push(Some((from, *step)));
                    graph.before.push(Vec::new());
                    graph.states.len() - 1
                });
                if !protocol.is_from_outside(*step) {
                    graph.before[to].push(number(from));
                }
            }
            from += 1;
        }
        graph
    }

    fn first_stuck(&self, protocol: &P) -> Option<usize> {
        let mut continues: Vec<bool> = self.states.iter().map(|it| protocol.is_good(it)).collect();
        let mut open: Vec<usize> = (0..self.states.len()).filter(|it| continues[*it]).collect();
        assert!(!open.is_empty(), "{}: no good state", P::NAME);
        while let Some(state) = open.pop() {
            for before in &self.before[state] {
                let before = *before as usize;
                if !continues[before] {
                    continues[before] = true;
                    open.push(before);
                }
            }
        }
        let mut states = 0..self.states.len();
        states.find(|state| !continues[*state] && protocol.is_judged(&self.states[*state]))
    }

    fn path(&self, mut to: usize) -> Vec<P::Step> {
        let mut steps = Vec::new();
        while let Some((from, step)) = self.reached_by[to] {
            steps.push(step);
            to = from;
        }
        steps.reverse();
        steps
    }
}

/// Returns a number that identifies a state, as `stateright` does.
fn fingerprint(state: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    state.hash(&mut hasher);
    hasher.finish()
}

fn number(state: usize) -> u32 {
    u32::try_from(state).expect("fewer than 2^32 states")
}

fn print<P: Protocol>(bounds: &str, verdict: &str, graph: &Graph<P>) {
    let states = graph.states.len();
    println!("{}: {bounds}: {verdict}, {states} states", P::NAME);
}
