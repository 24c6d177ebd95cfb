use std::time::Duration;

use diesel::connection::LoadConnection;

use super::{OnTables, StoreBackend, TableSchema, failed_messages};
use crate::{
    Error, FailedMessage, FailedPage, Failure, FailureState, GiveUp, Lease, MessageFailures,
    Parked, Position,
};

impl<C> MessageFailures for OnTables<'_, C>
where
    C: LoadConnection,
    C::Backend: StoreBackend<C>,
{
    fn record_failure(&mut self, lease: &Lease, failure: &Failure<'_>) -> Result<u32, Error> {
        failed_messages::record(self.connection, self.schema, lease, failure)
    }

    fn give_up(&mut self, lease: &Lease, position: Position, then: GiveUp) -> Result<(), Error> {
        failed_messages::give_up(self.connection, self.schema, lease, position, then)
    }

    fn is_redriven(
        &mut self,
        lease: &Lease,
        position: Position,
        hold: Duration,
    ) -> Result<bool, Error> {
        failed_messages::is_redriven(self.connection, self.schema, lease, position, hold)
    }

    fn take_redriven(
        &mut self,
        lease: &Lease,
        position: Position,
        hold: Duration,
    ) -> Result<bool, Error> {
        failed_messages::take_redriven(self.connection, self.schema, lease, position, hold)
    }

    fn failed_messages(&mut self, request: &FailedPage<'_>) -> Result<Vec<FailedMessage>, Error> {
        failed_messages::list(self.connection, &self.schema.failures, request)
    }

    fn count_failed(
        &mut self,
        consumer: &str,
        topic: &str,
        state: FailureState,
    ) -> Result<u64, Error> {
        let table = &self.schema.failures;
        failed_messages::count_failed(self.connection, table, consumer, topic, state)
    }

    fn redrive(&mut self, consumer: &str, topic: &str, which: Parked<'_>) -> Result<u64, Error> {
        failed_messages::redrive(
            self.connection,
            &self.schema.failures,
            consumer,
            topic,
            which,
        )
    }

    fn discard(&mut self, consumer: &str, topic: &str, which: Parked<'_>) -> Result<u64, Error> {
        failed_messages::discard(
            self.connection,
            &self.schema.failures,
            consumer,
            topic,
            which,
        )
    }
}

impl<C> MessageFailures for C
where
    C: LoadConnection,
    C::Backend: StoreBackend<C>,
{
    fn record_failure(&mut self, lease: &Lease, failure: &Failure<'_>) -> Result<u32, Error> {
        TableSchema::DEFAULT.on(self).record_failure(lease, failure)
    }

    fn give_up(&mut self, lease: &Lease, position: Position, then: GiveUp) -> Result<(), Error> {
        TableSchema::DEFAULT.on(self).give_up(lease, position, then)
    }

    fn is_redriven(
        &mut self,
        lease: &Lease,
        position: Position,
        hold: Duration,
    ) -> Result<bool, Error> {
        TableSchema::DEFAULT
            .on(self)
            .is_redriven(lease, position, hold)
    }

    fn take_redriven(
        &mut self,
        lease: &Lease,
        position: Position,
        hold: Duration,
    ) -> Result<bool, Error> {
        TableSchema::DEFAULT
            .on(self)
            .take_redriven(lease, position, hold)
    }

    fn failed_messages(&mut self, request: &FailedPage<'_>) -> Result<Vec<FailedMessage>, Error> {
        TableSchema::DEFAULT.on(self).failed_messages(request)
    }

    fn count_failed(
        &mut self,
        consumer: &str,
        topic: &str,
        state: FailureState,
    ) -> Result<u64, Error> {
        TableSchema::DEFAULT
            .on(self)
            .count_failed(consumer, topic, state)
    }

    fn redrive(&mut self, consumer: &str, topic: &str, which: Parked<'_>) -> Result<u64, Error> {
        TableSchema::DEFAULT
            .on(self)
            .redrive(consumer, topic, which)
    }

    fn discard(&mut self, consumer: &str, topic: &str, which: Parked<'_>) -> Result<u64, Error> {
        TableSchema::DEFAULT
            .on(self)
            .discard(consumer, topic, which)
    }
}
