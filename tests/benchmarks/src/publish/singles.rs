//! Concurrent publishers that commit each message.

use benchmark_rows::backends::Database;
use benchmark_rows::publish::{Publishers, dispatched_one_by_one};
use benchmark_rows::side_by_side::side_by_side;
use benchmark_rows::topic::{Orders, names_of_topics};
use benchmark_rows::{Failure, Way};

use crate::raw::{NewRow, RawDriver};
use crate::with_driver::WithDriver;

pub fn singles<B: WithDriver>(
    library: &Database<'_, B>,
    raw: &Database<'_, B>,
    of: Publishers,
) -> Result<Vec<(&'static str, Way)>, Failure> {
    Ok(vec![
        ("autocommit", by_hand(raw, of)?),
        ("dispatch", dispatched_one_by_one(library, of)?),
    ])
}

pub fn by_hand<B: WithDriver>(raw: &Database<'_, B>, of: Publishers) -> Result<Way, Failure> {
    let topics = names_of_topics(of.topics);
    let drivers = (0..of.publishers).map(|_| B::connect_raw(&raw.url));
    let mut drivers = drivers.collect::<Result<Vec<_>, _>>()?;
    Ok(Box::new(move || {
        side_by_side(&mut drivers, |driver, publisher| {
            of.publish(publisher, |number, topic| {
                let row = NewRow::of(&Orders::number(number))?;
                driver.publish(&topics[topic], &row)
            })
        })
    }))
}
