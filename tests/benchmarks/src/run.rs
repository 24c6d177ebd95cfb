//! The state of a benchmark run.

use benchmark_rows::{Failure, Way};

use crate::measure::in_turn;
use crate::progress::Progress;
use crate::results::{Comparison, Point, Results};
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
            results: Results::new(),
            progress,
            databases: 0,
        }
    }

    /// Returns a database name that is unique in this run.
    pub fn name_of_database(&mut self) -> String {
        self.databases += 1;
        format!("bus_{}", self.databases)
    }

    /// Runs the turns of the ways: those by hand, followed by the library's.
    pub fn compare(
        &mut self,
        point: Point,
        mut ways: Vec<(&'static str, Way)>,
    ) -> Result<(), Failure> {
        self.progress.begin(&point);
        // A first run connects, prepares statements and fills caches.
        for (_, way) in &mut ways {
            way()?;
        }
        let samples = in_turn(self.sizes.rounds, &mut ways)?;
        self.results
            .comparisons
            .push(Comparison::new(point, samples));
        self.progress.done();
        Ok(())
    }
}
