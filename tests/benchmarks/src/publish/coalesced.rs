//! Concurrent publishers on one coalescer, compared with the driver's own connections.

use std::time::{Duration, Instant};

use benchmark_rows::backends::Database;
use benchmark_rows::publish::Publishers;
use benchmark_rows::side_by_side::side_by_side;
use benchmark_rows::topic::Orders;
use benchmark_rows::{Failure, Way};
use persisting_message_bus::{Coalescer, MessageDispatcher};

use super::singles::by_hand;
use crate::with_driver::WithDriver;

/// Returns the ways to publish. By hand, as many connections are used as give the highest rate on
/// the database.
pub fn coalesced<B: WithDriver>(
    library: &Database<'_, B>,
    raw: &Database<'_, B>,
    producers: usize,
    duration: Duration,
) -> Result<Vec<(&'static str, Way)>, Failure> {
    let plain = Publishers {
        publishers: B::PLAIN_PUBLISHERS,
        topics: 1,
        duration,
    };
    Ok(vec![
        (B::PLAIN, by_hand(raw, plain)?),
        ("coalescing", together(library, producers, duration)),
    ])
}

fn together<B: WithDriver>(library: &Database<'_, B>, producers: usize, duration: Duration) -> Way {
    let url = library.url.clone();
    let orders =
        MessageDispatcher::<Orders>::new().coalescing(&Coalescer::new(move || B::connect(&url)));
    let mut producers = vec![(); producers];
    Box::new(move || {
        side_by_side(&mut producers, |(), _| {
            let begun = Instant::now();
            let mut published = 0;
            while begun.elapsed() < duration {
                orders.dispatch(&Orders::number(published as u64))?;
                published += 1;
            }
            Ok(published)
        })
    })
}
