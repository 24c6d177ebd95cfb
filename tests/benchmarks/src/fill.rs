use persisting_message_bus::MessageDispatcher;

use crate::Failure;
use crate::backends::{Backend, Database};
use crate::topic::Orders;

const BATCH: usize = 2_000;

/// Puts so many messages into the database, and lets it settle.
pub fn fill<B: Backend>(database: &Database<'_, B>, messages: u64) -> Result<(), Failure> {
    let mut connection = database.connect()?;
    let dispatcher = MessageDispatcher::<Orders>::new();
    for first in (0..messages).step_by(BATCH) {
        let batch = Orders::numbered(first..messages.min(first + BATCH as u64));
        dispatcher.dispatch_batch(&mut connection, batch)?;
    }
    database.backend.settle(&database.url)
}
