use std::time::Duration;

use diesel::connection::Connection;

use crate::error::Error;
use crate::sql::dialect::Statement;
use crate::sql::dialect::Value::{Number, Text};
use crate::sql::error::failed_while;
use crate::sql::statements::duplicates::is_unique_violation;
use crate::sql::statements::leases::milliseconds;
use crate::sql::tables::Tables;
use crate::store::inbox::{InboxEntry, InboxKey, MessageInbox};

const RECEIVE: &str = "
    INSERT INTO {table} ({consumer}, {source}, {message_id}, {received_at})
    VALUES (?, ?, ?, {now}) {or_nothing}";

const PRUNE: &str = "
    DELETE FROM {table} WHERE {consumer} = ? AND {source} = ? AND {received_at} <= {now_plus_millis}";

impl<T: Tables> MessageInbox for T {
    fn receive(&mut self, received: &InboxEntry<'_>) -> Result<bool, Error> {
        let (connection, schema) = self.parts();
        let values = [received.consumer, received.source, received.message_id].map(Text);
        let insert = Statement::new(RECEIVE, &schema.inbox, values);
        match connection.execute_returning_count(&insert) {
            Ok(inserted) => Ok(inserted > 0),
            Err(cause) if is_unique_violation(&cause) => Ok(false),
            Err(cause) => {
                let (id, source) = (received.message_id, received.source);
                let doing = format!("recording the message \"{id}\" from \"{source}\"");
                Err(failed_while(doing, cause).of_consumer(received.consumer))
            }
        }
    }

    fn prune_inbox(&mut self, key: InboxKey<'_>, retention: Duration) -> Result<u64, Error> {
        let InboxKey { consumer, source } = key;
        let (connection, schema) = self.parts();
        let age = Number(-milliseconds(retention));
        let prune = Statement::new(PRUNE, &schema.inbox, [Text(consumer), Text(source), age]);
        let pruned = connection.execute_returning_count(&prune);
        pruned.map(|pruned| pruned as u64).map_err(|cause| {
            let doing = format!("pruning the inbox of \"{source}\"");
            failed_while(doing, cause).of_consumer(consumer)
        })
    }
}
