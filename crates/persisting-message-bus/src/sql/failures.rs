use std::time::Duration;

use crate::error::Error;
use crate::position::Position;
use crate::sql::backend::StoreBackend;
use crate::sql::statements::{failures, parked, recording};
use crate::sql::tables::{ConsumerTables, on_tables};
use crate::store::failures::{
    FailedMessage, FailedMessagesRequest, FailurePolicy, FailureState, MessageFailures, NewFailure,
    ParkedSelector,
};
use crate::store::key::ConsumerKey;
use crate::store::lease::Lease;
use crate::store::not_parked::expect_parked;
use crate::store::place::MessageAt;

#[diagnostic::do_not_recommend]
impl<T: ConsumerTables> MessageFailures for T {
    fn record_failure(&mut self, lease: &Lease, failure: &NewFailure<'_>) -> Result<u32, Error> {
        on_tables(self, |connection, schema| {
            T::Backend::write(connection, false, |connection| {
                recording::record(connection, schema, lease, failure)
            })
        })
    }

    fn give_up(
        &mut self,
        lease: &Lease,
        message: MessageAt,
        then: FailurePolicy,
    ) -> Result<(), Error> {
        on_tables(self, |connection, schema| {
            T::Backend::write(connection, false, |connection| {
                failures::give_up(connection, schema, lease, message, then)
            })
        })
    }

    fn is_redriven(
        &mut self,
        lease: &Lease,
        position: Position,
        extend_lease: Duration,
    ) -> Result<bool, Error> {
        on_tables(self, |connection, schema| {
            T::Backend::write(connection, false, |connection| {
                failures::is_redriven(connection, schema, lease, position, extend_lease)
            })
        })
    }

    fn take_redriven(
        &mut self,
        lease: &Lease,
        position: Position,
        extend_lease: Duration,
    ) -> Result<bool, Error> {
        on_tables(self, |connection, schema| {
            T::Backend::write(connection, false, |connection| {
                failures::take_redriven(connection, schema, lease, position, extend_lease)
            })
        })
    }

    fn failed_messages(
        &mut self,
        request: &FailedMessagesRequest<'_>,
    ) -> Result<Vec<FailedMessage>, Error> {
        on_tables(self, |connection, schema| {
            failures::list(connection, &schema.failures, request)
        })
    }

    fn count_failed(&mut self, key: ConsumerKey<'_>, state: FailureState) -> Result<u64, Error> {
        on_tables(self, |connection, schema| {
            let table = &schema.failures;
            parked::count_failed(connection, table, key, state)
        })
    }

    fn redrive(&mut self, key: ConsumerKey<'_>, which: ParkedSelector<'_>) -> Result<u64, Error> {
        on_tables(self, |connection, schema| {
            parked::redrive(connection, &schema.failures, key, which)
        })
        .and_then(|redriven| expect_parked(self, key, which, redriven))
    }

    fn discard(&mut self, key: ConsumerKey<'_>, which: ParkedSelector<'_>) -> Result<u64, Error> {
        on_tables(self, |connection, schema| {
            parked::discard(connection, &schema.failures, key, which)
        })
        .and_then(|discarded| expect_parked(self, key, which, discarded))
    }
}
