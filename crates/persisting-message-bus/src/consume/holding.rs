//! From taking the leases to releasing them.

use std::sync::Arc;

use tracing::info;

use crate::consume::consumer::MessageConsumer;
use crate::consume::gate::{self, Pass};
use crate::consume::handler::PageHandler;
use crate::consume::leases::Leases;
use crate::consume::suspicion::Suspicion;
use crate::consume::unstored::Unstored;
use crate::error::Error;
use crate::message::topic::EventSet;
use crate::store::consumer_state::{ConsumerRow, CursorUpdate, MessageConsumerState};
use crate::store::lease::{Lease, LeaseRequest};
use crate::store::source::MessageSource;

impl<S: EventSet, H> MessageConsumer<S, H> {
    /// Takes the leases, does the work that needs them, and releases them. `hands_out` says whether the
    /// page after the cursors is handed out.
    pub(super) fn with_leases<B, T>(
        &mut self,
        bus: &mut B,
        stored: &[Option<ConsumerRow>],
        suspicion: Suspicion,
        hands_out: bool,
        work: impl FnOnce(&mut Self, &mut B, &mut Leases, &Pass) -> Result<T, Error>,
    ) -> Result<T, Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
        H: PageHandler<S, B>,
    {
        // The gate comes before the leases, so that no consumer holds a lease while it waits.
        let kept = self.memory.turn.take();
        let pass = kept.unwrap_or_else(|| gate::enter(suspicion != Suspicion::None, &self.signals));
        let acquired = self.acquire(bus, hands_out);
        let acquired = acquired.and_then(|leases| self.leave_divided(bus, leases, stored));
        let mut leases = match acquired {
            Ok(leases) => leases,
            Err(error) => {
                self.keep_turn(pass, &error);
                return Err(error);
            }
        };
        self.note_cursors(leases.leases.iter().map(Lease::place));
        if H::NEEDS_HEARTBEAT {
            self.held.set(&leases.leases);
        }
        let identified = self.settle_identity(bus, &mut leases);
        let result = identified.and_then(|()| work(self, bus, &mut leases, &pass));
        // A consumer with unstored cursors still needs its leases renewed.
        if self.memory.unstored.is_none() {
            self.held.clear();
        }
        // The note of a message that is tried alone stays until the cursor is stored.
        if self.memory.unstored.is_some() && pass.is_alone() {
            self.memory.turn = Some(pass);
            return result;
        }
        match (result, leases.release(bus)) {
            // Without a connection, the consumer cannot release the leases.
            (Err(error), Err(_)) if error.is_disconnected() => {
                self.keep_turn(pass, &error);
                Err(error)
            }
            (Err(error), Err(second)) => Err(error.followed_by(second)),
            (result, released) => released.and(result),
        }
    }

    /// Keeps the right to work alone if the connection is lost, because the note of a message that
    /// is tried alone stays in the consumer's row. Until it is removed, no other consumer of the
    /// process can work. Otherwise this message would be blamed if another message ended the
    /// process.
    fn keep_turn(&mut self, pass: Pass, error: &Error) {
        if pass.is_alone() && error.is_disconnected() {
            self.memory.turn = Some(pass);
        }
    }

    /// Ends the turn if the note is gone: another holder has taken the lease, or this one has
    /// released it.
    pub(super) fn give_turn_back(&mut self, stored: &[Option<ConsumerRow>]) {
        let is_noted = |stored: &ConsumerRow| {
            stored.work.is_some() && stored.lease_owner.as_ref() == Some(&self.owner)
        };
        if !stored.iter().flatten().any(is_noted) {
            self.memory.turn = None;
        }
    }

    /// Takes the leases on all topics, or none. Notes that the page after the cursors is handed out, if
    /// that is so and nothing else was left there.
    pub(super) fn acquire<B>(&self, bus: &mut B, hands_out: bool) -> Result<Leases, Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        let (duration, signals) = (self.settings.lease_duration, Arc::clone(&self.signals));
        let mut acquired = Leases::of(&self.name, duration, signals);
        for reader in &self.topics {
            let request = LeaseRequest {
                hands_out,
                ..self.request(reader.topic)
            };
            match bus.acquire(&request) {
                Ok(lease) => acquired.leases.push(lease),
                Err(error) => {
                    return Err(match acquired.release(bus) {
                        Ok(()) => error,
                        Err(second) => error.followed_by(second),
                    });
                }
            }
        }
        if hands_out {
            acquired.have_noted_a_page();
        }
        Ok(acquired)
    }
}

impl<S: EventSet, H> MessageConsumer<S, H> {
    /// Returns whether there are unstored cursors of final effects.
    pub(crate) fn has_unstored(&self) -> bool {
        self.memory.has_unstored()
    }

    /// Stores these cursors and releases the leases. After an error other than a lost lease, the
    /// next call tries again.
    pub(crate) fn store_unstored<B>(&mut self, bus: &mut B) -> Result<(), Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        let Some(Unstored(cursors)) = &self.memory.unstored else {
            return Ok(());
        };
        let (mut kept, mut lost) = (Vec::new(), Ok(()));
        for (lease, place) in cursors {
            let store = CursorUpdate {
                place: *place,
                extend_lease: Some(self.settings.lease_duration),
            };
            match bus.store_cursor(lease, &store) {
                Ok(()) => kept.push(lease),
                // The cursor may be stored, and the lease released, by a write whose answer was lost. The
                // other topics have leases of their own.
                Err(error) if error.is_lease_lost() => lost = lost.and(Err(error)),
                Err(error) => return Err(error),
            }
        }
        // All cursors are stored before a lease is released, because a stored cursor can be stored
        // again.
        kept.iter().try_for_each(|lease| bus.release(lease))?;
        if lost.is_ok() {
            info!(
                messaging.consumer.group.name = self.name,
                "cursors of handled messages stored after an earlier error"
            );
        }
        self.memory.unstored = None;
        self.held.clear();
        lost
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::memory::InMemoryMessageBus;
    use crate::message::raw::StoredMessage;
    use crate::message::topic::{TopicFilter, WantedMessages};
    use crate::message::typed::Message;

    /// An event set without the derive macro.
    struct Nothing;

    impl EventSet for Nothing {
        const SELECTIONS: &'static [TopicFilter] = &[TopicFilter {
            topic: "orders",
            wanted: WantedMessages::All,
            retired: &[],
        }];

        fn decode(message: &StoredMessage<'_>) -> Result<Self, Error> {
            Err(Error::unknown_message(message, "Nothing"))
        }

        fn message_type(&self) -> &str {
            "Nothing"
        }
    }

    #[test]
    fn a_turn_ends_when_another_holder_has_the_lease() -> Result<(), Error> {
        let mut bus = InMemoryMessageBus::default();
        let handler = |_: &Message<Nothing>| Ok(());
        let mut consumer = MessageConsumer::<Nothing>::external("all", handler);
        consumer.memory.turn = Some(gate::enter(true, &consumer.signals));
        let other = LeaseRequest {
            consumer: "all",
            topic: "orders",
            segment: None,
            owner: "another process",
            duration: Duration::from_secs(60),
            identity: Default::default(),
            hands_out: false,
        };
        bus.acquire(&other)?;
        let handled = consumer.handle_page(&mut bus);
        assert!(handled.is_err_and(|error| error.is_lease_held()));
        assert!(consumer.memory.turn.is_none());
        Ok(())
    }
}
