//! Final effects whose cursors could not be stored, because the connection was lost or the database
//! was busy. The leases outlive the connection. So the consumer stores the cursors on the next
//! connection, under the same owner and epoch, instead of handling the messages again.

use crate::consume::leases::Leases;
use crate::consume::page::Page;
use crate::position::Position;
use crate::store::lease::Lease;

/// The leases that the consumer keeps, and their cursors.
#[derive(Debug)]
pub(super) struct Unstored(pub(super) Vec<(Lease, Option<Position>)>);

impl Unstored {
    pub(super) fn of<S>(leases: &Leases, page: &Page<S>, handled: usize) -> Self {
        let cursors = page.cursors_after(handled).map(|(_, cursor)| cursor);
        Self(leases.leases.iter().cloned().zip(cursors).collect())
    }
}
