use std::thread;
use std::time::{Duration, Instant};

use diesel::connection::Connection;

use crate::error::Error;
use crate::sql::dialect::Value::{Number, Text};
use crate::sql::dialect::{Statement, Value};
use crate::sql::error::failed_while;
use crate::sql::statements::duplicates::is_unique_violation;
use crate::sql::statements::leases::milliseconds;
use crate::sql::tables::{Tables, on_tables};
use crate::sql::transactions::is_in_transaction;
use crate::store::inbox::{InboxEntry, InboxKey, MessageInbox};

const RECEIVE: &str = "
    INSERT INTO {table} ({consumer}, {source}, {message_id}, {received_at})
    VALUES (?, ?, ?, {now}) {or_nothing}";

/// Deletes a batch of the oldest rows. The limit of the statement is the size of the batch.
const PRUNE: &str = "DELETE FROM {table} WHERE {oldest_received}";

/// The number of rows that one statement deletes. Other writers wait no longer than for that.
const BATCH: usize = 1_000;

/// The longest pause between two batches.
const MAX_PAUSE: Duration = Duration::from_millis(100);

#[diagnostic::do_not_recommend]
impl<T: Tables> MessageInbox for T {
    fn receive(&mut self, received: &InboxEntry<'_>) -> Result<bool, Error> {
        on_tables(self, |connection, schema| {
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
        })
    }

    fn prune_inbox(&mut self, key: InboxKey<'_>, retention: Duration) -> Result<u64, Error> {
        let InboxKey { consumer, source } = key;
        on_tables(self, |connection, schema| {
            let failed = |cause| {
                let doing = format!("pruning the inbox of \"{source}\"");
                failed_while(doing, cause).of_consumer(consumer)
            };
            let age = Number(-milliseconds(retention));
            let mut all = 0;
            loop {
                let begun = Instant::now();
                let values = [Text(consumer), Text(source), age, Value::limit(BATCH)];
                let prune = Statement::new(PRUNE, &schema.inbox, values);
                let pruned = connection.execute_returning_count(&prune).map_err(failed)?;
                all += pruned as u64;
                if pruned < BATCH {
                    return Ok(all);
                }
                // Other writers get as much time as a batch has taken. In a transaction they wait for
                // its end, so a pause would only make them wait for longer.
                if !is_in_transaction(connection) {
                    thread::sleep(begun.elapsed().min(MAX_PAUSE));
                }
            }
        })
    }
}
