use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::Lease;

/// The leases that a consumer holds while its handler is at work, for whoever prolongs them.
#[derive(Debug, Default)]
pub(crate) struct HeldLeases(Mutex<Vec<Lease>>);

impl HeldLeases {
    pub(super) fn set(&self, leases: &[Lease]) {
        self.leases().extend_from_slice(leases);
    }

    pub(super) fn clear(&self) {
        self.leases().clear();
    }

    /// Those that are held now.
    pub(crate) fn now(&self) -> Vec<Lease> {
        self.leases().clone()
    }

    /// Whoever panics leaves leases behind that are as good as lost.
    fn leases(&self) -> MutexGuard<'_, Vec<Lease>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
