//! Effects that are final, and whose cursors could not be stored: the connection was lost, or the database
//! was busy. The leases outlive the connection: the cursors are stored on the next one under the same owner
//! and epoch, instead of handling the messages again.

use tracing::info;

use super::leases::Leases;
use super::page::Page;
use crate::{Error, EventSet, Lease, MessageConsumer, MessageConsumerState, Position, StoreCursor};

/// Leases that are kept, and where their cursors belong.
#[derive(Debug)]
pub(super) struct Unstored(Vec<(Lease, Option<Position>)>);

impl Unstored {
    pub(super) fn of<S>(leases: &Leases, page: &Page<S>, handled: usize) -> Self {
        let cursors = page.cursors_after(handled).map(|(_, cursor)| cursor);
        Self(leases.leases.iter().cloned().zip(cursors).collect())
    }
}

impl<S: EventSet, H> MessageConsumer<S, H> {
    /// Whether there are some.
    pub(crate) fn has_unstored(&self) -> bool {
        self.unstored.is_some()
    }

    /// Stores them, and gives the leases back. What fails otherwise than by a lease that is lost is tried
    /// again at the next call.
    pub(crate) fn store_unstored<B>(&mut self, bus: &mut B) -> Result<(), Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        let Some(Unstored(cursors)) = &self.unstored else {
            return Ok(());
        };
        let stored = cursors.iter().try_for_each(|(lease, cursor)| {
            let store = StoreCursor {
                cursor: *cursor,
                hold: Some(self.settings.lease_duration),
            };
            bus.store_cursor(lease, &store)
        });
        // All of them are stored before one is given back: what is stored can be stored again.
        let stored = stored.and_then(|()| {
            let mut leases = cursors.iter();
            leases.try_for_each(|(lease, _)| bus.release(lease))
        });
        match &stored {
            Ok(()) => info!(
                messaging.consumer.group.name = self.name,
                "the cursors of messages that were handled are stored, after an error"
            ),
            Err(error) if !error.is_lease_lost() => return stored,
            Err(_) => {}
        }
        self.unstored = None;
        self.held.clear();
        stored
    }
}
