//! One publisher with batches.

use std::time::{Duration, Instant};

use persisting_message_bus::{MessageDispatcher, Topic};

use crate::Failure;
use crate::backends::{Backend, Database};
use crate::measure::{Done, Way};
use crate::raw::{NewRow, RawDriver};
use crate::topic::Orders;

pub fn batches<B: Backend>(
    library: &Database<'_, B>,
    raw: &Database<'_, B>,
    size: usize,
    duration: Duration,
) -> Result<Vec<(&'static str, Way)>, Failure> {
    let mut ways = by_hand(raw, size, duration)?;
    ways.push(("dispatch_batch", dispatched(library, size, duration)?));
    Ok(ways)
}

fn by_hand<B: Backend>(
    raw: &Database<'_, B>,
    size: usize,
    duration: Duration,
) -> Result<Vec<(&'static str, Way)>, Failure> {
    let mut ways: Vec<(&'static str, Way)> = Vec::new();
    if size == 1 {
        let mut driver = raw.connect_raw()?;
        let single = move |messages: &[Orders]| {
            let rows = NewRow::all_of(messages)?;
            rows.iter()
                .try_for_each(|row| driver.publish(Orders::NAME, row))
        };
        ways.push(("autocommit", over_and_over(size, duration, single)));
    }
    for (name, publish) in B::Raw::BATCHES {
        let mut driver = raw.connect_raw()?;
        let batch = move |messages: &[Orders]| {
            publish(&mut driver, Orders::NAME, &NewRow::all_of(messages)?)
        };
        ways.push((name, over_and_over(size, duration, batch)));
    }
    Ok(ways)
}

fn dispatched<B: Backend>(
    library: &Database<'_, B>,
    size: usize,
    duration: Duration,
) -> Result<Way, Failure> {
    let mut connection = library.connect()?;
    let dispatcher = MessageDispatcher::<Orders>::new();
    Ok(over_and_over(size, duration, move |messages| {
        dispatcher.dispatch_batch(&mut connection, messages)?;
        Ok(())
    }))
}

/// Publishes the same batch for some time.
fn over_and_over(
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
