//! Final effects whose cursors could not be stored, because the connection was lost or the database
//! was busy. The leases outlive the connection. So the consumer stores the cursors on the next
//! connection, under the same owner and epoch, instead of handling the messages again.

use crate::consume::leases::Leases;
use crate::consume::page::Page;
use crate::store::lease::Lease;
use crate::store::place::Place;

/// The leases that the consumer keeps, and their cursors.
#[derive(Debug)]
pub(super) struct Unstored(pub(super) Vec<(Lease, Place)>);

impl Unstored {
    pub(super) fn of<S>(leases: &Leases, page: &Page<S>, handled: usize) -> Self {
        let cursors = page.places_after(handled).map(|(_, place)| place);
        Self(leases.leases.iter().cloned().zip(cursors).collect())
    }
}
