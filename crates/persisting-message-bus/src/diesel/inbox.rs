use std::time::Duration;

use diesel::connection::LoadConnection;

use super::duplicates::is_unique_violation;
use super::error::failed_while;
use super::leases::milliseconds;
use super::statement::Statement;
use super::statement::Value::{Number, Text};
use super::{OnTables, StoreBackend, TableSchema};
use crate::{Error, MessageInbox, Received};

const RECEIVE: &str = "
    INSERT INTO {table} ({consumer}, {source}, {message_id}, {received_at})
    VALUES (?, ?, ?, {now}) {or_nothing}";

const PRUNE: &str = "
    DELETE FROM {table} WHERE {consumer} = ? AND {source} = ? AND {received_at} <= {ahead}";

impl<C> MessageInbox for OnTables<'_, C>
where
    C: LoadConnection,
    C::Backend: StoreBackend<C>,
{
    fn receive(&mut self, received: &Received<'_>) -> Result<bool, Error> {
        let values = [received.consumer, received.source, received.message_id].map(Text);
        let insert = Statement::new(RECEIVE, &self.schema.inbox, values);
        match self.connection.execute_returning_count(&insert) {
            Ok(inserted) => Ok(inserted > 0),
            Err(cause) if is_unique_violation(&cause) => Ok(false),
            Err(cause) => {
                let (id, source) = (received.message_id, received.source);
                let doing = format!("noting the message \"{id}\" from \"{source}\"");
                Err(failed_while(doing, cause).of_consumer(received.consumer))
            }
        }
    }

    fn prune_inbox(
        &mut self,
        consumer: &str,
        source: &str,
        window: Duration,
    ) -> Result<u64, Error> {
        let age = Number(-milliseconds(window));
        let prune = Statement::new(
            PRUNE,
            &self.schema.inbox,
            [Text(consumer), Text(source), age],
        );
        let pruned = self.connection.execute_returning_count(&prune);
        pruned.map(|pruned| pruned as u64).map_err(|cause| {
            let doing = format!("pruning the inbox of \"{source}\"");
            failed_while(doing, cause).of_consumer(consumer)
        })
    }
}

impl<C> MessageInbox for C
where
    C: LoadConnection,
    C::Backend: StoreBackend<C>,
{
    fn receive(&mut self, received: &Received<'_>) -> Result<bool, Error> {
        TableSchema::DEFAULT.on(self).receive(received)
    }

    fn prune_inbox(
        &mut self,
        consumer: &str,
        source: &str,
        window: Duration,
    ) -> Result<u64, Error> {
        TableSchema::DEFAULT
            .on(self)
            .prune_inbox(consumer, source, window)
    }
}
