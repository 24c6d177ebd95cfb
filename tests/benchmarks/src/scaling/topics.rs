//! More topics in one table.

use benchmark_rows::Failure;
use benchmark_rows::backends::Database;
use benchmark_rows::consume::{Kind, Task};
use benchmark_rows::fill::fill;
use benchmark_rows::publish::Publishers;
use benchmark_rows::topic::Orders;

use super::point;
use crate::consume::ways_of;
use crate::publish::singles;
use crate::run::Run;
use crate::sizes::Sizes;
use crate::with_driver::WithDriver;

const AXIS: &str = "topics";
const PAGE: usize = 500;
const PUBLISHERS: usize = 4;

pub fn steps(sizes: &Sizes) -> usize {
    sizes.topics.len() * 2
}

pub fn run<B: WithDriver>(backend: &B, run: &mut Run) -> Result<(), Failure> {
    for topics in run.sizes.topics.clone() {
        let at = topics as u64;
        run.progress
            .begin(&format_args!("{}: {topics} topics", B::NAME));
        let database = Database::create(backend, &run.name_of_database())?;
        fill(&database, run.sizes.messages_of_a_topic * at, topics)?;
        let task = Task::handle_new_messages(Kind::External, PAGE);
        let consume = point::<B>("consume one of the topics", AXIS, at);
        run.compare(consume, ways_of::<Orders, B>(&database, task)?)?;
        let four = Publishers {
            publishers: PUBLISHERS,
            topics,
            duration: run.sizes.turn(),
        };
        let publish = point::<B>("4 publishers on all topics", AXIS, at);
        run.compare(publish, singles(&database, &database, four)?)?;
    }
    Ok(())
}
