//! Publishing and consuming with more rows, topics and consumers.

mod consumers;
mod rare;
mod rows;
mod topics;

use benchmark_rows::Failure;

use crate::results::Point;
use crate::run::Run;
use crate::sizes::Sizes;
use crate::with_driver::WithDriver;

pub fn steps(sizes: &Sizes) -> usize {
    rows::steps(sizes) + topics::steps(sizes) + consumers::steps(sizes)
}

pub fn run<B: WithDriver>(backend: &B, run: &mut Run) -> Result<(), Failure> {
    rows::run(backend, run)?;
    topics::run(backend, run)?;
    consumers::run(backend, run)
}

fn point<B: WithDriver>(series: &str, axis: &'static str, at: u64) -> Point {
    Point {
        scenario: "scaling",
        backend: B::NAME,
        series: series.to_owned(),
        axis,
        at,
    }
}
