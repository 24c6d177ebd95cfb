//! A single publisher of batches.

use std::time::{Duration, Instant};

use persisting_message_bus::MessageDispatcher;

use crate::backends::{Backend, Database};
use crate::topic::Orders;
use crate::{Done, Failure, Way};

pub fn dispatched_in_batches<B: Backend>(
    database: &Database<'_, B>,
    size: usize,
    duration: Duration,
) -> Result<Way, Failure> {
    let mut connection = database.connect()?;
    let dispatcher = MessageDispatcher::<Orders>::new();
    Ok(over_and_over(size, duration, move |messages| {
        dispatcher.dispatch_batch(&mut connection, messages)?;
        Ok(())
    }))
}

/// Publishes the same batch repeatedly for some time.
pub fn over_and_over(
    size: usize,
    duration: Duration,
    mut publish: impl FnMut(&[Orders]) -> Result<(), Failure> + 'static,
) -> Way {
    let messages = Orders::numbered(0..size as u64);
    Box::new(move || {
        let begun = Instant::now();
        let mut published = 0;
        while begun.elapsed() < duration {
            publish(&messages)?;
            published += messages.len();
        }
        Ok(Done::since(begun, published))
    })
}
