//! Measures several ways to do the same work, in turn.

use benchmark_rows::{Done, Failure, Way};
use serde::Serialize;

use crate::statistics::median;

/// The number of short turns in which a way does one round, so that a temporary slowdown affects
/// all ways.
pub const TURNS: u32 = 5;

/// The measurements of one way, round by round.
#[derive(Debug, Clone, Serialize)]
pub struct Samples {
    pub way: &'static str,
    pub median: f64,
    pub min: f64,
    pub max: f64,
    pub rounds: Vec<f64>,
}

impl Samples {
    /// Returns the ratios to the other way, round by round.
    pub fn by(&self, other: &Self) -> Vec<f64> {
        let rounds = self.rounds.iter().zip(&other.rounds);
        rounds.map(|(rate, other)| rate / other).collect()
    }

    /// Creates samples of at least one round.
    pub fn new(way: &'static str, rounds: Vec<f64>) -> Self {
        Self {
            way,
            median: median(&rounds),
            min: rounds.iter().copied().fold(f64::INFINITY, f64::min),
            max: rounds.iter().copied().fold(0.0, f64::max),
            rounds,
        }
    }
}

/// Measures each way in `rounds` rounds.
pub fn in_turn(rounds: usize, ways: &mut [(&'static str, Way)]) -> Result<Vec<Samples>, Failure> {
    let mut rates = vec![Vec::new(); ways.len()];
    for _ in 0..rounds {
        for (rates, done) in rates.iter_mut().zip(round(ways)?) {
            rates.push(done.into_iter().sum::<Done>().per_second());
        }
    }
    let names = ways.iter().map(|(name, _)| *name);
    let samples = names.zip(rates);
    Ok(samples
        .map(|(name, rates)| Samples::new(name, rates))
        .collect())
}

/// Runs one round, and returns the work of each way in its turns.
fn round(ways: &mut [(&'static str, Way)]) -> Result<Vec<Vec<Done>>, Failure> {
    let mut done = vec![Vec::new(); ways.len()];
    for _ in 0..TURNS {
        for ((_, way), done) in ways.iter_mut().zip(&mut done) {
            done.push(way()?);
        }
    }
    Ok(done)
}
