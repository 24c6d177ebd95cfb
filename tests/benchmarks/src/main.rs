//! ./benchmark
//!
//! Measures how much slower or faster the library is than what one writes by hand with a database's
//! driver, on servers of its own, which survive a loss of power: each commit waits for the disk.

mod arguments;
mod consume;
mod environment;
mod latency;
mod measure;
mod memory;
mod progress;
mod publish;
mod raw;
mod report;
mod results;
mod run;
mod scaling;
mod scenarios;
mod servers;
mod sizes;
mod statements;
mod with_driver;

use std::env;

use benchmark_rows::Failure;
use clap::Parser;

use self::arguments::Arguments;

fn main() -> Result<(), Failure> {
    if let Some(done) = memory::run_child(&env::args().skip(1).collect::<Vec<_>>()) {
        return done;
    }
    scenarios::run(&Arguments::parse())
}
