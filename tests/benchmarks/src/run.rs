//! What a run of the benchmarks has at hand.

use crate::progress::Progress;
use crate::results::{Comparison, Results};
use crate::sizes::Sizes;

pub struct Run {
    pub sizes: Sizes,
    pub results: Results,
    pub progress: Progress,
    databases: u32,
}

impl Run {
    pub fn new(sizes: Sizes, progress: Progress) -> Self {
        Self {
            sizes,
            results: Results::default(),
            progress,
            databases: 0,
        }
    }

    /// A name that no other database of this run has.
    pub fn name_of_database(&mut self) -> String {
        self.databases += 1;
        format!("bus_{}", self.databases)
    }

    pub fn add(&mut self, comparison: Comparison) {
        self.results.comparisons.push(comparison);
        self.progress.done();
    }
}
