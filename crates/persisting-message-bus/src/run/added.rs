use std::sync::Arc;

use crate::run::arrival::Arrival;
use crate::run::inside::Inside;
use crate::run::step::Pace;
use crate::run::thread::ConsumerExit;

/// The body of a consumer's thread.
pub(super) type Run = Box<dyn FnOnce(Surroundings) -> ConsumerExit + Send>;

/// What a consumer receives of its runner when it starts.
#[derive(Clone)]
pub(super) struct Surroundings {
    pub(super) pace: Pace,
    /// The number of connections that all consumers of the runner need.
    pub(super) needed: usize,
    /// For the threads that the consumer starts.
    pub(super) inside: Inside,
}

/// A consumer that was added to a runner.
pub(super) struct Added {
    pub(super) name: String,
    /// What it reads, for errors.
    pub(super) reads: String,
    /// The number of connections that it needs.
    pub(super) connections: usize,
    pub(super) arrival: Arc<Arrival>,
    pub(super) run: Run,
}
