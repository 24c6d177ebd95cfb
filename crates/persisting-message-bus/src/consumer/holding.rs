//! From taking the leases to giving them back.

use std::cell::Cell;
use std::sync::Arc;

use super::gate::{self, Pass};
use super::handler::HandlePages;
use super::leases::Leases;
use super::run::Suspicion;
use crate::observe::HandlerTimes;
use crate::{Error, EventSet, MessageConsumer, MessageConsumerState, StoredConsumer};

impl<S: EventSet, H> MessageConsumer<S, H> {
    /// Does something for which the consumer needs its leases, and gives them back.
    pub(super) fn under_leases<B, T>(
        &mut self,
        bus: &mut B,
        suspicion: Suspicion,
        work: impl FnOnce(&mut Self, &mut B, &mut Leases, &Pass) -> Result<T, Error>,
    ) -> Result<T, Error>
    where
        B: MessageConsumerState + ?Sized,
        H: HandlePages<S, B>,
    {
        // Before the leases, so that nobody waits with one in the hand.
        let kept = self.turn.take();
        let pass = kept.unwrap_or_else(|| gate::enter(suspicion != Suspicion::None, &self.signals));
        let acquired = self.acquire(bus);
        let mut leases = match acquired {
            Ok(leases) => leases,
            Err(error) => {
                self.keep_turn(pass, &error);
                return Err(error);
            }
        };
        if H::NEEDS_HEARTBEAT {
            self.held.set(&leases.leases);
        }
        let result = work(self, bus, &mut leases, &pass);
        // Who has not stored what is final still needs them.
        if self.unstored.is_none() {
            self.held.clear();
        }
        // Its note stays until it is stored.
        if self.unstored.is_some() && pass.is_alone() {
            self.turn = Some(pass);
            return result;
        }
        match (result, leases.release(bus)) {
            // Without a connection, they cannot be given back.
            (Err(error), Err(_)) if error.is_disconnected() => {
                self.keep_turn(pass, &error);
                Err(error)
            }
            (Err(error), Err(second)) => Err(error.followed_by(second)),
            (result, released) => released.and(result),
        }
    }

    /// What is noted of a message that is tried alone stays noted when the connection is lost. Until that is
    /// taken back, nobody else may work: otherwise this message would be blamed when another one ends the
    /// process.
    fn keep_turn(&mut self, pass: Pass, error: &Error) {
        if pass.is_alone() && error.is_disconnected() {
            self.turn = Some(pass);
        }
    }

    /// What was noted is gone: another holder has taken the lease, or this one has released it.
    pub(super) fn give_turn_back(&mut self, stored: &[Option<StoredConsumer>]) {
        let is_noted = |stored: &StoredConsumer| {
            stored.work.is_some() && stored.lease_owner.as_ref() == Some(&self.owner)
        };
        if !stored.iter().flatten().any(is_noted) {
            self.turn = None;
        }
    }

    /// Takes the leases on all topics, or none.
    pub(super) fn acquire<B>(&self, bus: &mut B) -> Result<Leases, Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        let mut acquired = Leases {
            leases: Vec::with_capacity(self.topics.len()),
            duration: self.settings.lease_duration,
            work: None,
            signals: Arc::clone(&self.signals),
            released: Cell::new(false),
            handler_times: HandlerTimes::of(&self.name),
        };
        for reader in &self.topics {
            match bus.acquire(&self.request(reader.topic)) {
                Ok(lease) => acquired.leases.push(lease),
                Err(error) => {
                    return Err(match acquired.release(bus) {
                        Ok(()) => error,
                        Err(second) => error.followed_by(second),
                    });
                }
            }
        }
        Ok(acquired)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::memory::InMemoryMessageBus;
    use crate::topic::{Selection, Wanted};
    use crate::{LeaseRequest, Message, StoredMessage};

    /// An event set without a derive.
    struct Nothing;

    impl EventSet for Nothing {
        const SELECTIONS: &'static [Selection] = &[Selection {
            topic: "orders",
            wanted: Wanted::All,
        }];

        fn decode(message: &StoredMessage<'_>) -> Result<Self, Error> {
            Err(Error::unknown_message(message, "Nothing"))
        }

        fn message_type(&self) -> &str {
            "Nothing"
        }
    }

    #[test]
    fn a_turn_is_given_back_when_another_holder_has_the_lease() {
        let mut bus = InMemoryMessageBus::default();
        let handler = |_: &Message<Nothing>| Ok(());
        let mut consumer = MessageConsumer::<Nothing>::external("all", handler);
        consumer.turn = Some(gate::enter(true, &consumer.signals));
        let other = LeaseRequest {
            consumer: "all",
            topic: "orders",
            owner: "another process",
            duration: Duration::from_secs(60),
        };
        bus.acquire(&other).unwrap();
        let error = consumer.handle_new_messages(&mut bus).unwrap_err();
        assert!(error.is_locked(), "{error:?}");
        assert!(consumer.turn.is_none());
    }
}
