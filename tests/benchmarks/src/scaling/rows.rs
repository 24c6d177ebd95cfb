//! More rows in the table.

use benchmark_rows::Failure;
use benchmark_rows::backends::Database;
use benchmark_rows::consume::{Kind, Task};
use benchmark_rows::fill::fill;
use benchmark_rows::publish::Publishers;
use benchmark_rows::topic::Orders;
use persisting_message_bus::backend::MessageSource;

use super::{point, rare};
use crate::consume::ways_of;
use crate::memory;
use crate::publish::{batches, singles};
use crate::run::Run;
use crate::sizes::Sizes;
use crate::with_driver::WithDriver;

const AXIS: &str = "rows in the table";
const PAGE: usize = 500;
const BATCH: usize = 1_000;

pub fn steps(sizes: &Sizes) -> usize {
    sizes.rows.len() * (5 + memory::steps(sizes))
}

pub fn run<B: WithDriver>(backend: &B, run: &mut Run) -> Result<(), Failure> {
    for rows in run.sizes.rows.clone() {
        run.progress
            .begin(&format_args!("{}: {rows} rows", B::NAME));
        let database = Database::create(backend, &run.name_of_database())?;
        fill(&database, rows, 1)?;
        consume(&database, rows, run)?;
        memory::run(&database, rows, run)?;
        publish(&database, rows, run)?;
    }
    Ok(())
}

fn consume<B: WithDriver>(
    database: &Database<'_, B>,
    rows: u64,
    run: &mut Run,
) -> Result<(), Failure> {
    let last = database.connect()?.last_position()?.get();
    let most = run.sizes.consumed_of_many;
    let before_end = last.saturating_sub_unsigned(most as u64).max(0);
    for (series, after) in [
        ("consume from the start", 0),
        ("consume at the end", before_end),
    ] {
        let task = Task {
            kind: Kind::External,
            page: PAGE,
            after,
            most,
        };
        let point = point::<B>(series, AXIS, rows);
        run.compare(point, ways_of::<Orders, B>(database, task)?)?;
    }
    let rare = point::<B>("pass over all for a rare type", AXIS, rows);
    run.compare(rare, rare::ways(database, rows)?)
}

/// Measures single messages and batches on the same table.
fn publish<B: WithDriver>(
    database: &Database<'_, B>,
    rows: u64,
    run: &mut Run,
) -> Result<(), Failure> {
    let duration = run.sizes.turn();
    let one = Publishers {
        publishers: 1,
        topics: 1,
        duration,
    };
    let single = point::<B>("publish single messages", AXIS, rows);
    run.compare(single, singles(database, database, one)?)?;
    let batch = point::<B>("publish batches of 1,000", AXIS, rows);
    run.compare(batch, batches(database, database, BATCH, duration)?)
}
