use std::time::Duration;

use chrono::Utc;

use super::InMemoryMessageConsumerState;
use super::consumer_state::{State, key};
use crate::{
    Error, FailedMessage, FailedPage, Failure, FailureState, GiveUp, Lease, MessageFailures,
    Parked, Position, StoreCursor,
};

impl State {
    fn record(&mut self, failure: &Failure<'_>) -> u32 {
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
        failed.attempts = failed.attempts.saturating_add(1);
        failed.error = failure.error.to_owned();
        failed.last_failed_at = now;
        failed.attempts
    }

    /// Says whether its failure was noted.
    fn give_up(&mut self, position: Position, then: GiveUp) -> bool {
        let Some(failed) = self.failures.get_mut(&position) else {
            return false;
        };
        match then {
            GiveUp::Stop => failed.state = FailureState::Stopped,
            GiveUp::Park => failed.state = FailureState::Parked,
            GiveUp::Skip => drop(self.failures.remove(&position)),
        }
        let cursor = Some(position);
        match then {
            GiveUp::Stop => self.give_back(),
            GiveUp::Park | GiveUp::Skip => self.store(&StoreCursor { cursor, hold: None }),
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

    fn parked(&self, which: Parked<'_>) -> Vec<Position> {
        let failures = self.failures.values();
        let parked = failures.filter(|failed| failed.state == FailureState::Parked);
        parked
            .filter(|failed| which.include(failed))
            .map(|failed| failed.position)
            .collect()
    }
}

impl InMemoryMessageConsumerState {
    fn state_of<T: Default>(
        &mut self,
        consumer: &str,
        topic: &str,
        change: impl FnOnce(&mut State) -> T,
    ) -> Result<T, Error> {
        self.consumers.write(|consumers| {
            let state = consumers.states.get_mut(&key(consumer, topic));
            Ok(state.map(change).unwrap_or_default())
        })
    }
}

impl MessageFailures for InMemoryMessageConsumerState {
    fn record_failure(&mut self, lease: &Lease, failure: &Failure<'_>) -> Result<u32, Error> {
        self.write_fenced(lease, |state| {
            state.prolong(failure.hold);
            state.record(failure)
        })
    }

    fn give_up(&mut self, lease: &Lease, position: Position, then: GiveUp) -> Result<(), Error> {
        if self.write_fenced(lease, |state| state.give_up(position, then))? {
            return Ok(());
        }
        let doing = format!("giving up the message at position {position}");
        let problem = "its failure was not noted";
        Err(Error::repository(doing, problem, false).of_consumer(&lease.consumer))
    }

    fn is_redriven(
        &mut self,
        lease: &Lease,
        position: Position,
        hold: Duration,
    ) -> Result<bool, Error> {
        self.write_fenced(lease, |state| {
            state.prolong(hold);
            state.is_redriven(position)
        })
    }

    fn take_redriven(
        &mut self,
        lease: &Lease,
        position: Position,
        hold: Duration,
    ) -> Result<bool, Error> {
        self.write_fenced(lease, |state| {
            state.prolong(hold);
            state.is_redriven(position) && state.failures.remove(&position).is_some()
        })
    }

    fn failed_messages(&mut self, request: &FailedPage<'_>) -> Result<Vec<FailedMessage>, Error> {
        Ok(self.consumers.read(|consumers| {
            let state = consumers.states.get(&key(request.consumer, request.topic));
            let failures = state.into_iter().flat_map(|state| state.failures.values());
            let wanted = failures
                .filter(|failed| failed.state == request.state && failed.position > request.after);
            wanted.take(request.limit).cloned().collect()
        }))
    }

    fn count_failed(
        &mut self,
        consumer: &str,
        topic: &str,
        state: FailureState,
    ) -> Result<u64, Error> {
        Ok(self.consumers.read(|consumers| {
            let stored = consumers.states.get(&key(consumer, topic));
            let failures = stored
                .into_iter()
                .flat_map(|stored| stored.failures.values());
            failures.filter(|failed| failed.state == state).count() as u64
        }))
    }

    fn redrive(&mut self, consumer: &str, topic: &str, which: Parked<'_>) -> Result<u64, Error> {
        self.state_of(consumer, topic, |state| {
            let parked = state.parked(which);
            for position in &parked {
                if let Some(failed) = state.failures.get_mut(position) {
                    failed.state = FailureState::Redriven;
                }
            }
            parked.len() as u64
        })
    }

    fn discard(&mut self, consumer: &str, topic: &str, which: Parked<'_>) -> Result<u64, Error> {
        self.state_of(consumer, topic, |state| {
            let parked = state.parked(which);
            for position in &parked {
                state.failures.remove(position);
            }
            parked.len() as u64
        })
    }
}
