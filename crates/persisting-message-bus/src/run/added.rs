use std::sync::Arc;

use crate::run::arrival::Arrival;
use crate::run::surroundings::Surroundings;
use crate::run::thread::ConsumerExit;

/// The body of a consumer's thread.
pub(super) type Run = Box<dyn FnOnce(Surroundings) -> ConsumerExit + Send>;

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
