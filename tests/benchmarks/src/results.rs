//! All that was measured.

use std::fmt;

use serde::Serialize;

use crate::measure::Samples;

#[derive(Debug, Default, Serialize)]
pub struct Results {
    pub comparisons: Vec<Comparison>,
}

/// The library against the driver, at one point of a series.
#[derive(Debug, Serialize)]
pub struct Comparison {
    pub scenario: &'static str,
    pub backend: &'static str,
    /// What is the same along a series.
    pub series: String,
    /// What grows along it.
    pub axis: &'static str,
    pub at: u64,
    /// Messages a second.
    pub library: Samples,
    /// Of the driver's ways, the fastest.
    pub raw: Samples,
    pub other_raw: Vec<Samples>,
    /// The library's median by that of the driver's fastest way.
    pub ratio: f64,
}

/// Where a comparison belongs.
pub struct Point {
    pub scenario: &'static str,
    pub backend: &'static str,
    pub series: String,
    pub axis: &'static str,
    pub at: u64,
}

impl fmt::Display for Point {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            scenario,
            backend,
            series,
            axis,
            at,
        } = self;
        write!(formatter, "{backend}: {scenario}, {series}, {at} {axis}")
    }
}

impl Comparison {
    /// `samples` are those of the driver's ways, and behind them the library's.
    pub fn new(point: Point, mut samples: Vec<Samples>) -> Self {
        let library = samples.pop().expect("the library's samples");
        samples.sort_by(|one, other| other.median.total_cmp(&one.median));
        let raw = samples.remove(0);
        Self {
            scenario: point.scenario,
            backend: point.backend,
            series: point.series,
            axis: point.axis,
            at: point.at,
            ratio: library.median / raw.median,
            library,
            raw,
            other_raw: samples,
        }
    }
}
