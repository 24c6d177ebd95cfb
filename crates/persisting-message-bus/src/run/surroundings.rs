//! What a runner gives to its consumers.

use std::sync::Arc;

use crate::run::step::Pace;

/// What a consumer receives of its runner when it starts.
#[derive(Clone)]
pub(super) struct Surroundings {
    pub(super) pace: Pace,
    /// The number of connections that all consumers of the runner need.
    pub(super) needed: usize,
    /// For the threads that the consumer starts.
    pub(super) inside: Inside,
}

type Around = dyn Fn(&mut dyn FnMut()) + Send + Sync;

/// What surrounds the body of each thread on which a consumer works, such as the runtime of async
/// handlers. Default: nothing.
#[derive(Clone, Default)]
pub(crate) struct Inside(Option<Arc<Around>>);

impl Inside {
    /// Creates one from a closure that calls its argument once.
    #[cfg(feature = "diesel-async-0_9")]
    pub(crate) fn of(around: impl Fn(&mut dyn FnMut()) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(around)))
    }

    /// Runs a body.
    pub(super) fn run(&self, body: impl FnOnce()) {
        let mut body = Some(body);
        let mut once = || {
            if let Some(body) = body.take() {
                body();
            }
        };
        match &self.0 {
            Some(around) => around(&mut once),
            None => once(),
        }
    }
}
