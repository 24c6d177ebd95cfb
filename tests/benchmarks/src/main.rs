//! ./benchmark
//!
//! Measures how much slower or faster the library is than code written by hand with a database's
//! driver, or than the library at another commit. It starts its own servers, whose commits survive
//! a power failure: each commit waits for the disk.

mod against;
mod arguments;
mod awaited;
mod consume;
mod environment;
mod latency;
mod measure;
mod memory;
mod parallel;
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
mod statistics;
mod with_driver;

use std::env;
use std::io::{stdin, stdout};

use benchmark_rows::{Failure, serving};

use self::arguments::Arguments;

fn main() -> Result<(), Failure> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    if let Some(done) = memory::run_child(&arguments).or_else(|| parallel::run_child(&arguments)) {
        return done;
    }
    if arguments == [serving::NAME] {
        return serving::serve(stdin().lock(), stdout().lock());
    }
    let arguments = Arguments::parse_or_exit();
    match &arguments.compared.against {
        Some(commit) => against::run(commit, &arguments),
        None => scenarios::run(&arguments),
    }
}
