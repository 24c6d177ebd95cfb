//! Consumers at once.

use super::point;
use crate::Failure;
use crate::backends::{Backend, Database};
use crate::consume::{Kind, Task, by_hand, library};
use crate::fill::fill;
use crate::measure::Way;
use crate::run::Run;
use crate::side_by_side::side_by_side;
use crate::sizes::Sizes;
use crate::topic::Orders;

const AXIS: &str = "consumers";
const PAGE: usize = 500;

pub fn steps(sizes: &Sizes) -> usize {
    sizes.consumers.len()
}

pub fn run<B: Backend>(backend: &B, run: &mut Run) -> Result<(), Failure> {
    let database = Database::create(backend, &run.name_of_database())?;
    fill(&database, run.sizes.consumed_of_many as u64, 1)?;
    for consumers in run.sizes.consumers.clone() {
        let point = point::<B>("consume at once, all together", AXIS, consumers as u64);
        run.compare(point, ways(&database, consumers)?)?;
    }
    Ok(())
}

fn ways<B: Backend>(
    database: &Database<'_, B>,
    consumers: usize,
) -> Result<Vec<(&'static str, Way)>, Failure> {
    let task = Task::catch_up(Kind::External, PAGE);
    let drivers = (0..consumers).map(|_| database.connect_raw());
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
            Ok(library::consume::<Orders, _>(connection, task)?.messages)
        })
    };
    Ok(vec![
        ("pages", Box::new(by_hand)),
        ("catch_up", Box::new(library)),
    ])
}
