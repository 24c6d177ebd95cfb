use std::time::Duration;

use diesel::connection::LoadConnection;

use super::{OnTables, StoreBackend, TableSchema, failed_messages, leases};
use crate::{
    Error, Lease, LeaseRequest, MessageConsumerState, NoteWork, Position, StoreCursor,
    StoredConsumer, name,
};

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

    fn note_work(&mut self, lease: &Lease, note: &NoteWork) -> Result<(), Error> {
        leases::note_work(self.connection, &self.schema.consumer_state, lease, note)
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

    fn reset(&mut self, lease: &Lease, cursor: Option<Position>) -> Result<(), Error> {
        failed_messages::reset(self.connection, self.schema, lease, cursor)
    }

    fn set_paused(&mut self, consumer: &str, topic: &str, paused: bool) -> Result<bool, Error> {
        let table = &self.schema.consumer_state;
        leases::set_paused(self.connection, table, consumer, topic, paused)
    }

    fn stored_consumer(
        &mut self,
        consumer: &str,
        topic: &str,
    ) -> Result<Option<StoredConsumer>, Error> {
        leases::status(self.connection, self.schema, consumer, topic)
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

    fn note_work(&mut self, lease: &Lease, note: &NoteWork) -> Result<(), Error> {
        TableSchema::DEFAULT.on(self).note_work(lease, note)
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

    fn reset(&mut self, lease: &Lease, cursor: Option<Position>) -> Result<(), Error> {
        TableSchema::DEFAULT.on(self).reset(lease, cursor)
    }

    fn set_paused(&mut self, consumer: &str, topic: &str, paused: bool) -> Result<bool, Error> {
        TableSchema::DEFAULT
            .on(self)
            .set_paused(consumer, topic, paused)
    }

    fn stored_consumer(
        &mut self,
        consumer: &str,
        topic: &str,
    ) -> Result<Option<StoredConsumer>, Error> {
        TableSchema::DEFAULT
            .on(self)
            .stored_consumer(consumer, topic)
    }
}
