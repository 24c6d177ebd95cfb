//! The memory of a consumer, measured in its own process.

mod child;

use std::env;
use std::process::Command;

use benchmark_rows::Failure;
use benchmark_rows::backends::Database;

pub use self::child::run as run_child;
use crate::results::Memory;
use crate::run::Run;
use crate::sizes::Sizes;
use crate::with_driver::WithDriver;

const WAYS: [&str; 2] = ["library", "driver"];

pub fn steps(sizes: &Sizes) -> usize {
    sizes.pages.len()
}

pub fn run<B: WithDriver>(
    database: &Database<'_, B>,
    rows: u64,
    run: &mut Run,
) -> Result<(), Failure> {
    for page in run.sizes.pages.clone() {
        let step = format_args!("{}: memory for pages of {page}", B::NAME);
        run.progress.begin(&step);
        let [library, driver] =
            WAYS.map(|way| child::<B>(&database.url, way, page, run.sizes.consumed_of_many));
        run.results.memory.push(Memory {
            backend: B::NAME,
            rows,
            page,
            library_kib: library?,
            driver_kib: driver?,
        });
        run.progress.done();
    }
    Ok(())
}

/// Returns the growth of a consuming process in KiB.
fn child<B: WithDriver>(url: &str, way: &str, page: usize, most: usize) -> Result<u64, Failure> {
    let output = Command::new(env::current_exe()?)
        .args([child::NAME, B::NAME, url, way])
        .args([page.to_string(), most.to_string()])
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}
