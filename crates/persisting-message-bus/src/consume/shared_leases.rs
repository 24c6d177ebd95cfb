use std::sync::{Mutex, MutexGuard};

use crate::locks::lock;
use crate::store::lease::Lease;

/// The leases that a consumer holds while its handler is at work. The heartbeat renews them.
#[derive(Debug, Default)]
pub(crate) struct SharedLeases(Mutex<Vec<Lease>>);

impl SharedLeases {
    pub(super) fn set(&self, leases: &[Lease]) {
        self.leases().extend_from_slice(leases);
    }

    pub(super) fn clear(&self) {
        self.leases().clear();
    }

    /// Returns the leases that are held now.
    pub(crate) fn now(&self) -> Vec<Lease> {
        self.leases().clone()
    }

    fn leases(&self) -> MutexGuard<'_, Vec<Lease>> {
        lock(&self.0)
    }
}
