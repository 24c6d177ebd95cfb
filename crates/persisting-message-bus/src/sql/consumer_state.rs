use std::time::Duration;

use crate::error::Error;
use crate::message::name;
use crate::position::Position;
use crate::sql::backend::StoreBackend;
use crate::sql::statements::{failures, leases};
use crate::sql::tables::Tables;
use crate::store::consumer_state::{ConsumerRow, CursorUpdate, MessageConsumerState, NoteWork};
use crate::store::key::ConsumerKey;
use crate::store::lease::{Lease, LeaseRequest};

impl<T: Tables> MessageConsumerState for T {
    fn acquire(&mut self, request: &LeaseRequest<'_>) -> Result<Lease, Error> {
        let (connection, schema) = self.parts();
        name::validate("consumer", request.consumer)?;
        name::validate("topic", request.topic)?;
        T::Backend::acquire(connection, schema, request)
    }

    fn note_work(&mut self, lease: &Lease, note: &NoteWork) -> Result<(), Error> {
        let (connection, schema) = self.parts();
        leases::note_work(connection, &schema.consumer_state, lease, note)
    }

    fn store_cursor(&mut self, lease: &Lease, store: &CursorUpdate) -> Result<(), Error> {
        let (connection, schema) = self.parts();
        leases::store_cursor(connection, &schema.consumer_state, lease, store)
    }

    fn renew(&mut self, lease: &Lease, duration: Duration) -> Result<(), Error> {
        let (connection, schema) = self.parts();
        leases::renew(connection, &schema.consumer_state, lease, duration)
    }

    fn release(&mut self, lease: &Lease) -> Result<(), Error> {
        let (connection, schema) = self.parts();
        leases::release(connection, &schema.consumer_state, lease)
    }

    fn reset(&mut self, lease: &Lease, cursor: Option<Position>) -> Result<(), Error> {
        let (connection, schema) = self.parts();
        failures::reset(connection, schema, lease, cursor)
    }

    fn pause(&mut self, key: ConsumerKey<'_>) -> Result<bool, Error> {
        let (connection, schema) = self.parts();
        let table = &schema.consumer_state;
        leases::set_paused(connection, table, key, true)
    }

    fn resume(&mut self, key: ConsumerKey<'_>) -> Result<bool, Error> {
        let (connection, schema) = self.parts();
        let table = &schema.consumer_state;
        leases::set_paused(connection, table, key, false)
    }

    fn stored_consumer(&mut self, key: ConsumerKey<'_>) -> Result<Option<ConsumerRow>, Error> {
        let (connection, schema) = self.parts();
        leases::status(connection, schema, key)
    }
}
