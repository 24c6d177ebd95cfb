//! Ways to do the same, in turn.

use serde::Serialize;

use crate::Failure;

/// Does something, and returns how many messages a second.
pub type Way = Box<dyn FnMut() -> Result<f64, Failure>>;

/// What was measured of one way, round by round.
#[derive(Debug, Clone, Serialize)]
pub struct Samples {
    pub way: &'static str,
    pub median: f64,
    pub min: f64,
    pub max: f64,
    pub rounds: Vec<f64>,
}

impl Samples {
    /// Round by round.
    pub fn by(&self, other: &Self) -> Vec<f64> {
        let rounds = self.rounds.iter().zip(&other.rounds);
        rounds.map(|(rate, other)| rate / other).collect()
    }

    /// Of one round at least.
    pub fn new(way: &'static str, rounds: Vec<f64>) -> Self {
        let mut sorted = rounds.clone();
        sorted.sort_by(f64::total_cmp);
        let (lower, upper) = (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
        Self {
            way,
            median: f64::midpoint(lower, upper),
            min: sorted[0],
            max: sorted[sorted.len() - 1],
            rounds,
        }
    }
}

/// Lets each way have its turn in each round, so that noise hits all of them.
pub fn in_turn(rounds: usize, ways: &mut [(&'static str, Way)]) -> Result<Vec<Samples>, Failure> {
    let mut rates = vec![Vec::new(); ways.len()];
    for _ in 0..rounds {
        for ((_, way), rates) in ways.iter_mut().zip(&mut rates) {
            rates.push(way()?);
        }
    }
    let names = ways.iter().map(|(name, _)| *name);
    Ok(names
        .zip(rates)
        .map(|(name, rates)| Samples::new(name, rates))
        .collect())
}
