use std::time::Duration;

use chrono::Utc;

use crate::error::Error;
use crate::memory::consumer_state::InMemoryMessageConsumerState;
use crate::memory::state::State;
use crate::position::Position;
use crate::store::consumer_state::CursorUpdate;
use crate::store::failures::{
    FailedMessage, FailedMessagesRequest, FailurePolicy, FailureState, MessageFailures, NewFailure,
    ParkedSelector,
};
use crate::store::key::ConsumerKey;
use crate::store::lease::Lease;
use crate::store::not_parked::expect_parked;
use crate::store::place::{MessageAt, Place};

impl State {
    fn record(&mut self, failure: &NewFailure<'_>) -> u32 {
        let now = Utc::now();
        let position = failure.position;
        self.failures.retain(|at, failed| {
            *at >= position || !failed.state.is_in_front() || failed.state == FailureState::Final
        });
        let failed = self
            .failures
            .entry(position)
            .or_insert_with(|| FailedMessage {
                position,
                message_id: failure.message_id,
                message_type: failure.message_type.map(str::to_owned),
                state: failure.state,
                attempts: 0,
                error: String::new(),
                first_failed_at: now,
                last_failed_at: now,
            });
        failed.state = failure.state;
        let attempts = u32::from(failure.state != FailureState::Unknown);
        failed.attempts = failed.attempts.saturating_add(attempts);
        failed.error = failure.error.to_owned();
        failed.last_failed_at = now;
        failed.attempts
    }

    /// Returns `true` if the failure was recorded before.
    fn give_up(&mut self, message: MessageAt, before: Place, then: FailurePolicy) -> bool {
        let position = message.position;
        let Some(failed) = self.failures.get_mut(&position) else {
            return false;
        };
        match then {
            FailurePolicy::Stop => failed.state = FailureState::Stopped,
            FailurePolicy::Park => failed.state = FailureState::Parked,
            FailurePolicy::Skip => drop(self.failures.remove(&position)),
        }
        match then {
            FailurePolicy::Stop => self.give_back(),
            FailurePolicy::Park | FailurePolicy::Skip => self.store(&CursorUpdate {
                place: message.place_after(before),
                extend_lease: None,
            }),
        }
        true
    }

    fn is_redriven(&self, position: Position) -> bool {
        let failed = self.failures.get(&position);
        failed.is_some_and(|failed| failed.state == FailureState::Redriven)
    }

    pub(super) fn first_in(&self, state: FailureState) -> Option<Position> {
        let mut failures = self.failures.values();
        let first = failures.find(|failed| failed.state == state);
        first.map(|failed| failed.position)
    }

    fn parked(&self, which: ParkedSelector<'_>) -> Vec<Position> {
        let failures = self.failures.values();
        let parked = failures.filter(|failed| failed.state == FailureState::Parked);
        parked
            .filter(|failed| which.include(failed))
            .map(|failed| failed.position)
            .collect()
    }
}

impl InMemoryMessageConsumerState {
    /// Changes the failures of a consumer and of its segments, and returns the sum of the results.
    fn each_of(
        &mut self,
        key: ConsumerKey<'_>,
        change: impl FnMut(&mut State) -> u64,
    ) -> Result<u64, Error> {
        self.consumers
            .write(|consumers| Ok(consumers.of_mut(key).map(change).sum()))
    }
}

impl MessageFailures for InMemoryMessageConsumerState {
    fn record_failure(&mut self, lease: &Lease, failure: &NewFailure<'_>) -> Result<u32, Error> {
        self.write_fenced(lease, |state| {
            state.renew(failure.extend_lease);
            state.record(failure)
        })
    }

    fn give_up(
        &mut self,
        lease: &Lease,
        message: MessageAt,
        then: FailurePolicy,
    ) -> Result<(), Error> {
        if self.write_fenced(lease, |state| state.give_up(message, lease.place(), then))? {
            return Ok(());
        }
        let position = message.position;
        let doing = format!("applying the failure policy to the message at position {position}");
        let problem = "its failure was not recorded";
        Err(Error::permanent(doing, problem).of_consumer(&lease.consumer))
    }

    fn is_redriven(
        &mut self,
        lease: &Lease,
        position: Position,
        extend_lease: Duration,
    ) -> Result<bool, Error> {
        self.write_fenced(lease, |state| {
            state.renew(extend_lease);
            state.is_redriven(position)
        })
    }

    fn take_redriven(
        &mut self,
        lease: &Lease,
        position: Position,
        extend_lease: Duration,
    ) -> Result<bool, Error> {
        self.write_fenced(lease, |state| {
            state.renew(extend_lease);
            state.is_redriven(position) && state.failures.remove(&position).is_some()
        })
    }

    fn failed_messages(
        &mut self,
        request: &FailedMessagesRequest<'_>,
    ) -> Result<Vec<FailedMessage>, Error> {
        Ok(self.consumers.read(|consumers| {
            let states = consumers.of(request.key());
            let in_slots = |state: &&State| request.slots.is_none() || state.slots == request.slots;
            let failures = states
                .filter(in_slots)
                .flat_map(|state| state.failures.values());
            let wanted = failures
                .filter(|failed| failed.state == request.state && failed.position > request.after);
            let mut wanted: Vec<_> = wanted.cloned().collect();
            wanted.sort_by_key(|failed| failed.position);
            wanted.truncate(request.limit);
            wanted
        }))
    }

    fn count_failed(&mut self, key: ConsumerKey<'_>, state: FailureState) -> Result<u64, Error> {
        Ok(self.consumers.read(|consumers| {
            let failures = consumers
                .of(key)
                .flat_map(|stored| stored.failures.values());
            failures.filter(|failed| failed.state == state).count() as u64
        }))
    }

    fn redrive(&mut self, key: ConsumerKey<'_>, which: ParkedSelector<'_>) -> Result<u64, Error> {
        self.each_of(key, |state| {
            let parked = state.parked(which);
            for position in &parked {
                if let Some(failed) = state.failures.get_mut(position) {
                    failed.state = FailureState::Redriven;
                }
            }
            parked.len() as u64
        })
        .and_then(|redriven| expect_parked(self, key, which, redriven))
    }

    fn discard(&mut self, key: ConsumerKey<'_>, which: ParkedSelector<'_>) -> Result<u64, Error> {
        self.each_of(key, |state| {
            let parked = state.parked(which);
            for position in &parked {
                state.failures.remove(position);
            }
            parked.len() as u64
        })
        .and_then(|discarded| expect_parked(self, key, which, discarded))
    }
}
