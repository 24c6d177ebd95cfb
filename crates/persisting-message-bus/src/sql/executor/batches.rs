//! Rows of PostgreSQL that come to a blocked thread in batches.
//!
//! The driver hands over the rows of each packet as it arrives. Waking the blocked thread for each
//! costs more than reading its rows. So a task gathers them, which mostly runs on the runtime's thread
//! that reads the packets. A thread that drives its connection itself needs no task.

use std::mem;
use std::ops::ControlFlow;

use diesel::result::{DatabaseErrorKind, Error as DieselError, QueryResult};
use diesel::row::{Field, Row};
use futures_util::{Stream, StreamExt};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::sql::dialect::Statement;
use crate::sql::executor::on_this_thread::OnThisThread;
use crate::sql::executor::pipeline::{PgRow, Pipeline};

/// The size of a batch, in bytes. The server sends the next rows while the thread handles some, so one
/// batch for a whole page would be slower.
const BATCH: usize = 64 * 1024;

/// The largest number of rows for which a thread that drives its connection waits once. The memory of a
/// few rows is used again for the next ones, while it is still in the processor's cache.
const MOST_ROWS: usize = 8;

/// Some rows, and what follows them.
#[derive(Default)]
struct Batch {
    rows: Vec<PgRow>,
    bytes: usize,
    then: Then,
}

/// What follows a batch. The end is said: a channel that is closed without it is that of a task that has
/// ended with its runtime, and rows are missing.
#[derive(Default)]
enum Then {
    #[default]
    More,
    End,
    Failure(DieselError),
}

/// Calls `receive` with each row, until it breaks.
pub(crate) fn for_each_row<E>(
    pipeline: &Pipeline<'_>,
    statement: Statement<'_>,
    failed: impl Fn(DieselError) -> E,
    receive: impl FnMut(&PgRow) -> Result<ControlFlow<()>, E>,
) -> Result<(), E> {
    let thread = &pipeline.thread;
    let rows = thread.wait(pipeline.rows(statement)).map_err(&failed)?;
    let Some(runtime) = thread.shared() else {
        return receive_chunks(thread, rows, failed, receive);
    };
    let (sender, batches) = channel(1);
    runtime.spawn(send(rows, sender));
    receive_all(batches, failed, receive)
}

/// Receives the rows on the thread that drives the connection, a few at a time.
fn receive_chunks<E>(
    thread: &OnThisThread,
    rows: impl Stream<Item = QueryResult<PgRow>> + Unpin,
    failed: impl Fn(DieselError) -> E,
    mut receive: impl FnMut(&PgRow) -> Result<ControlFlow<()>, E>,
) -> Result<(), E> {
    // The application's code, which decodes the rows, runs outside of the connection's runtime.
    let mut chunks = rows.ready_chunks(MOST_ROWS);
    while let Some(chunk) = thread.wait(chunks.next()) {
        for row in chunk {
            if receive(&row.map_err(&failed)?)?.is_break() {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn receive_all<E>(
    mut batches: Receiver<Batch>,
    failed: impl Fn(DieselError) -> E,
    mut receive: impl FnMut(&PgRow) -> Result<ControlFlow<()>, E>,
) -> Result<(), E> {
    while let Some(batch) = batches.blocking_recv() {
        for row in &batch.rows {
            if receive(row)?.is_break() {
                return Ok(());
            }
        }
        match batch.then {
            Then::More => {}
            Then::End => return Ok(()),
            Then::Failure(cause) => return Err(failed(cause)),
        }
    }
    let cause = "the tokio runtime has ended before all rows were read".to_owned();
    let closed = DatabaseErrorKind::ClosedConnection;
    Err(failed(DieselError::DatabaseError(closed, Box::new(cause))))
}

/// Sends all rows, until the receiver is gone.
async fn send(mut rows: impl Stream<Item = QueryResult<PgRow>> + Unpin, to: Sender<Batch>) {
    let mut batch = Batch::default();
    batch.then = loop {
        match rows.next().await {
            Some(Ok(row)) => {
                batch.bytes += size(&row);
                batch.rows.push(row);
            }
            Some(Err(cause)) => break Then::Failure(cause),
            None => break Then::End,
        }
        if batch.bytes >= BATCH && to.send(mem::take(&mut batch)).await.is_err() {
            return;
        }
    };
    // Without a receiver, the rest is not needed.
    let _unsent = to.send(batch).await;
}

fn size(row: &PgRow) -> usize {
    let fields = (0..row.field_count()).filter_map(|index| row.get(index));
    let sizes = fields.map(|field| field.value().map_or(0, |value| value.as_bytes().len()));
    sizes.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receive(batches: impl IntoIterator<Item = Then>) -> QueryResult<()> {
        let (sender, receiver) = channel(8);
        for then in batches {
            let batch = Batch {
                then,
                ..Batch::default()
            };
            assert!(sender.try_send(batch).is_ok());
        }
        drop(sender);
        receive_all(receiver, |cause| cause, |_| Ok(ControlFlow::Continue(())))
    }

    /// The rest of a page would be skipped if it looked like its end.
    #[test]
    fn rows_without_an_end_are_an_error() {
        assert_eq!(receive([Then::More, Then::End]), Ok(()));
        let not_found = Then::Failure(DieselError::NotFound);
        assert_eq!(receive([not_found]), Err(DieselError::NotFound));
        for incomplete in [vec![], vec![Then::More]] {
            let error = receive(incomplete).map_err(|error| error.to_string());
            assert!(error.is_err_and(|text| text.contains("runtime has ended")));
        }
    }
}
