//! All that was measured.

use std::fmt;

use serde::Serialize;

use crate::environment::Environment;
use crate::measure::Samples;

#[derive(Debug, Serialize)]
pub struct Results {
    pub environment: Environment,
    pub comparisons: Vec<Comparison>,
    pub work: Vec<Work>,
    pub memory: Vec<Memory>,
    pub latencies: Vec<Latency>,
    pub idle: Vec<Idle>,
}

impl Results {
    /// Nothing yet.
    pub fn new() -> Self {
        Self {
            environment: Environment::here(),
            comparisons: Vec::new(),
            work: Vec::new(),
            memory: Vec::new(),
            latencies: Vec::new(),
            idle: Vec::new(),
        }
    }
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
    /// The same in each round: what slows a whole round down does not show here.
    pub ratios: Vec<f64>,
}

/// What the library does for a message, a batch or a page.
#[derive(Debug, Serialize)]
pub struct Work {
    pub backend: &'static str,
    pub unit: &'static str,
    /// The time of one of them.
    pub micros: f64,
    /// The statements that run longest first.
    pub statements: Vec<StatementTime>,
}

/// A statement's part in that.
#[derive(Debug, Serialize)]
pub struct StatementTime {
    /// How it begins.
    pub sql: String,
    /// How often it runs.
    pub times: f64,
    /// How long all of these take together.
    pub micros: f64,
}

/// By how much a process grows that consumes.
#[derive(Debug, Serialize)]
pub struct Memory {
    pub backend: &'static str,
    pub rows: u64,
    pub page: usize,
    pub library_kib: u64,
    pub driver_kib: u64,
}

/// From the commit to the handler, in milliseconds.
#[derive(Debug, Serialize)]
pub struct Latency {
    pub backend: &'static str,
    pub pace: String,
    pub wake: String,
    pub messages: usize,
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub p99_9: f64,
    pub max: f64,
}

/// A consumer that has nothing to do.
#[derive(Debug, Serialize)]
pub struct Idle {
    pub backend: &'static str,
    pub statements_per_second: f64,
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
            ratios: library.by(&raw),
            library,
            raw,
            other_raw: samples,
        }
    }
}
