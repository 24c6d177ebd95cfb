use std::time::Duration;

use diesel::connection::LoadConnection;

use super::{OnTables, StoreBackend, TableSchema, leases};
use crate::{ConsumerStatus, Error, Lease, LeaseRequest, MessageConsumerState, StoreCursor, name};

impl<C> MessageConsumerState for OnTables<'_, C>
where
    C: LoadConnection,
    C::Backend: StoreBackend<C>,
{
    fn acquire(&mut self, request: &LeaseRequest<'_>) -> Result<Lease, Error> {
        name::validate("consumer", request.consumer)?;
        name::validate("topic", request.topic)?;
        C::Backend::acquire(self.connection, self.schema, request)
    }

    fn store_cursor(&mut self, lease: &Lease, store: &StoreCursor) -> Result<(), Error> {
        leases::store_cursor(self.connection, &self.schema.consumer_state, lease, store)
    }

    fn renew(&mut self, lease: &Lease, duration: Duration) -> Result<(), Error> {
        leases::renew(
            self.connection,
            &self.schema.consumer_state,
            lease,
            duration,
        )
    }

    fn release(&mut self, lease: &Lease) -> Result<(), Error> {
        leases::release(self.connection, &self.schema.consumer_state, lease)
    }

    fn consumer_status(
        &mut self,
        consumer: &str,
        topic: &str,
    ) -> Result<Option<ConsumerStatus>, Error> {
        leases::status(
            self.connection,
            &self.schema.consumer_state,
            consumer,
            topic,
        )
    }
}

impl<C> MessageConsumerState for C
where
    C: LoadConnection,
    C::Backend: StoreBackend<C>,
{
    fn acquire(&mut self, request: &LeaseRequest<'_>) -> Result<Lease, Error> {
        TableSchema::DEFAULT.on(self).acquire(request)
    }

    fn store_cursor(&mut self, lease: &Lease, store: &StoreCursor) -> Result<(), Error> {
        TableSchema::DEFAULT.on(self).store_cursor(lease, store)
    }

    fn renew(&mut self, lease: &Lease, duration: Duration) -> Result<(), Error> {
        TableSchema::DEFAULT.on(self).renew(lease, duration)
    }

    fn release(&mut self, lease: &Lease) -> Result<(), Error> {
        TableSchema::DEFAULT.on(self).release(lease)
    }

    fn consumer_status(
        &mut self,
        consumer: &str,
        topic: &str,
    ) -> Result<Option<ConsumerStatus>, Error> {
        TableSchema::DEFAULT
            .on(self)
            .consumer_status(consumer, topic)
    }
}
