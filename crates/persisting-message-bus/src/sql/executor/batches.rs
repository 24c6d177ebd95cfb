//! Rows of PostgreSQL that come to a blocked thread in batches.
//!
//! The driver hands over the rows of each packet as it arrives. Waking the blocked thread for each
//! costs more than reading its rows. So a task gathers them, which mostly runs on the runtime's thread
//! that reads the packets.

use std::mem;
use std::ops::ControlFlow;

use diesel::result::QueryResult;
use diesel::row::{Field, Row};
use futures_util::{Stream, StreamExt};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::sql::dialect::Statement;
use crate::sql::executor::pipeline::{PgRow, Pipeline};

/// The size of a batch, in bytes. The server sends the next rows while the thread handles some, so one
/// batch for a whole page would be slower.
const BATCH: usize = 64 * 1024;

/// Rows until the first error.
#[derive(Default)]
struct Batch {
    rows: Vec<PgRow>,
    bytes: usize,
    error: Option<diesel::result::Error>,
}

/// Calls `receive` with each row, until it breaks.
pub(crate) fn for_each_row<E>(
    pipeline: Pipeline<'_>,
    runtime: &Handle,
    statement: Statement<'_>,
    failed: impl Fn(diesel::result::Error) -> E,
    mut receive: impl FnMut(&PgRow) -> Result<ControlFlow<()>, E>,
) -> Result<(), E> {
    let rows = runtime
        .block_on(pipeline.rows(statement))
        .map_err(&failed)?;
    let mut batches = gather(runtime, rows);
    while let Some(batch) = batches.blocking_recv() {
        for row in &batch.rows {
            if receive(row)?.is_break() {
                return Ok(());
            }
        }
        if let Some(error) = batch.error {
            return Err(failed(error));
        }
    }
    Ok(())
}

fn gather<S>(runtime: &Handle, rows: S) -> Receiver<Batch>
where
    S: Stream<Item = QueryResult<PgRow>> + Send + Unpin + 'static,
{
    let (sender, batches) = channel(1);
    runtime.spawn(send(rows, sender));
    batches
}

/// Sends all rows, until the receiver is gone.
async fn send(mut rows: impl Stream<Item = QueryResult<PgRow>> + Unpin, to: Sender<Batch>) {
    let mut batch = Batch::default();
    while let Some(row) = rows.next().await {
        match row {
            Ok(row) => {
                batch.bytes += size(&row);
                batch.rows.push(row);
            }
            Err(error) => {
                batch.error = Some(error);
                break;
            }
        }
        if batch.bytes >= BATCH && to.send(mem::take(&mut batch)).await.is_err() {
            return;
        }
    }
    // Without a receiver, the rest is not needed.
    let _unsent = to.send(batch).await;
}

fn size(row: &PgRow) -> usize {
    let fields = (0..row.field_count()).filter_map(|index| row.get(index));
    let sizes = fields.map(|field| field.value().map_or(0, |value| value.as_bytes().len()));
    sizes.sum()
}
