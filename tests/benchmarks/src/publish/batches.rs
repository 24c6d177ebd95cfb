//! A single publisher of batches.

use std::time::Duration;

use benchmark_rows::backends::Database;
use benchmark_rows::publish::{dispatched_in_batches, over_and_over};
use benchmark_rows::topic::Orders;
use benchmark_rows::{Failure, Way};
use persisting_message_bus::Topic;

use crate::raw::{NewRow, RawDriver};
use crate::with_driver::WithDriver;

pub fn batches<B: WithDriver>(
    library: &Database<'_, B>,
    raw: &Database<'_, B>,
    size: usize,
    duration: Duration,
) -> Result<Vec<(&'static str, Way)>, Failure> {
    let mut ways = by_hand(raw, size, duration)?;
    ways.push((
        "dispatch_batch",
        dispatched_in_batches(library, size, duration)?,
    ));
    Ok(ways)
}

fn by_hand<B: WithDriver>(
    raw: &Database<'_, B>,
    size: usize,
    duration: Duration,
) -> Result<Vec<(&'static str, Way)>, Failure> {
    let mut ways: Vec<(&'static str, Way)> = Vec::new();
    if size == 1 {
        let mut driver = B::connect_raw(&raw.url)?;
        let single = move |messages: &[Orders]| {
            let rows = NewRow::all_of(messages)?;
            rows.iter()
                .try_for_each(|row| driver.publish(Orders::NAME, row))
        };
        ways.push(("autocommit", over_and_over(size, duration, single)));
    }
    for (name, publish) in B::Raw::BATCHES {
        let mut driver = B::connect_raw(&raw.url)?;
        let batch = move |messages: &[Orders]| {
            publish(&mut driver, Orders::NAME, &NewRow::all_of(messages)?)
        };
        ways.push((name, over_and_over(size, duration, batch)));
    }
    Ok(ways)
}
