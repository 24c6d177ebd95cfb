//! Concurrent consumers.

use benchmark_rows::backends::Database;
use benchmark_rows::consume::{Kind, Task, consume};
use benchmark_rows::fill::fill;
use benchmark_rows::side_by_side::side_by_side;
use benchmark_rows::topic::Orders;
use benchmark_rows::{Failure, Way};

use super::point;
use crate::consume::by_hand;
use crate::run::Run;
use crate::sizes::Sizes;
use crate::with_driver::WithDriver;

const AXIS: &str = "consumers";
const PAGE: usize = 500;

pub fn steps(sizes: &Sizes) -> usize {
    sizes.consumers.len()
}

pub fn run<B: WithDriver>(backend: &B, run: &mut Run) -> Result<(), Failure> {
    let database = Database::create(backend, &run.name_of_database())?;
    fill(&database, run.sizes.consumed_of_many as u64, 1)?;
    for consumers in run.sizes.consumers.clone() {
        let point = point::<B>("consume at once, all together", AXIS, consumers as u64);
        run.compare(point, ways(&database, consumers)?)?;
    }
    Ok(())
}

fn ways<B: WithDriver>(
    database: &Database<'_, B>,
    consumers: usize,
) -> Result<Vec<(&'static str, Way)>, Failure> {
    let task = Task::handle_new_messages(Kind::External, PAGE);
    let drivers = (0..consumers).map(|_| B::connect_raw(&database.url));
    let mut drivers = drivers.collect::<Result<Vec<_>, _>>()?;
    let by_hand = move || {
        side_by_side(&mut drivers, |driver, _| {
            Ok(by_hand::consume::<Orders>(driver, task)?.messages)
        })
    };
    let connections = (0..consumers).map(|_| database.connect());
    let mut connections = connections.collect::<Result<Vec<_>, _>>()?;
    let library = move || {
        side_by_side(&mut connections, |connection, _| {
            Ok(consume::<Orders, _>(connection, task)?.messages)
        })
    };
    Ok(vec![
        ("pages", Box::new(by_hand)),
        ("handle_new_messages", Box::new(library)),
    ])
}
