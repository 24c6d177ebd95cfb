use std::thread;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::sql::dialect::Value::{Number, Text};
use crate::sql::dialect::{Statement, Value};
use crate::sql::error::failed_while;
use crate::sql::executor::on_sync::OnSync;
use crate::sql::executor::{Executor, now};
use crate::sql::own_transactions::is_in_transaction;
use crate::sql::schema::TableSchema;
use crate::sql::statements::duplicates::is_unique_violation;
use crate::sql::statements::leases::milliseconds;
use crate::sql::tables::{Tables, on_tables};
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
            now(receive(&mut OnSync(connection), schema, received))
        })
    }

    fn prune_inbox(&mut self, key: InboxKey<'_>, retention: Duration) -> Result<u64, Error> {
        on_tables(self, |connection, schema| {
            let mut all = 0;
            loop {
                let batch = now(prune(&mut OnSync(connection), schema, key, retention))?;
                all += batch.pruned as u64;
                match batch.pause {
                    Some(pause) => thread::sleep(pause),
                    None => return Ok(all),
                }
            }
        })
    }
}

/// Records a message; returns `true` if it is new.
pub(crate) async fn receive<E: Executor>(
    executor: &mut E,
    schema: &TableSchema,
    received: &InboxEntry<'_>,
) -> Result<bool, Error> {
    let values = [received.consumer, received.source, received.message_id].map(Text);
    let insert = Statement::new(RECEIVE, &schema.inbox, values);
    match executor.execute(insert).await {
        Ok(inserted) => Ok(inserted > 0),
        Err(cause) if is_unique_violation(&cause) => Ok(false),
        Err(cause) => {
            let (id, source) = (received.message_id, received.source);
            let doing = format!("recording the message \"{id}\" from \"{source}\"");
            Err(failed_while(doing, cause).of_consumer(received.consumer))
        }
    }
}

/// A batch of messages that were forgotten.
pub(crate) struct Pruned {
    pub(crate) pruned: usize,
    /// The pause before the next batch, in which other writers get as much time as the batch has
    /// taken. `None` after the last batch. In a transaction, they wait for its end, so that a pause
    /// would only make them wait for longer.
    pub(crate) pause: Option<Duration>,
}

/// Forgets a batch of messages.
pub(crate) async fn prune<E: Executor>(
    executor: &mut E,
    schema: &TableSchema,
    InboxKey { consumer, source }: InboxKey<'_>,
    retention: Duration,
) -> Result<Pruned, Error> {
    let begun = Instant::now();
    let age = Number(-milliseconds(retention));
    let values = [Text(consumer), Text(source), age, Value::limit(BATCH)];
    let pruned = executor.execute(Statement::new(PRUNE, &schema.inbox, values));
    let pruned = pruned.await.map_err(|cause| {
        let doing = format!("pruning the inbox of \"{source}\"");
        failed_while(doing, cause).of_consumer(consumer)
    })?;
    let pause = if is_in_transaction(executor) {
        Duration::ZERO
    } else {
        begun.elapsed().min(MAX_PAUSE)
    };
    Ok(Pruned {
        pruned,
        pause: (pruned >= BATCH).then_some(pause),
    })
}
