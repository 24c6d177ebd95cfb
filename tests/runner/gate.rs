//! Handlers that last until the test lets them end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use persisting_message_bus_tests::waiting::wait_until;

/// Stops the calls of handlers. Clones are the same gate.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    arrived: AtomicUsize,
    admitted: AtomicUsize,
}

impl Gate {
    /// Waits until the test lets this call through. Calls pass in the order in which they arrive.
    pub fn pass(&self) {
        let before = self.0.arrived.fetch_add(1, Ordering::SeqCst);
        wait_until("the test opens the gate", || {
            self.0.admitted.load(Ordering::SeqCst) > before
        });
    }

    /// Waits until this number of calls have arrived.
    #[track_caller]
    pub fn wait_for_arrivals(&self, calls: usize) {
        let awaited = format!("{calls} calls arrive at the gate");
        wait_until(&awaited, || self.arrivals() >= calls);
    }

    /// Returns the number of calls so far.
    pub fn arrivals(&self) -> usize {
        self.0.arrived.load(Ordering::SeqCst)
    }

    /// Lets one more call through.
    pub fn admit_one(&self) {
        self.0.admitted.fetch_add(1, Ordering::SeqCst);
    }

    /// Lets all calls through from now on.
    pub fn open(&self) {
        self.0.admitted.store(usize::MAX, Ordering::SeqCst);
    }
}
