//! All measurements of a run.

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
    pub crowds: Vec<Crowd>,
}

impl Results {
    /// Returns empty results.
    pub fn new() -> Self {
        Self {
            environment: Environment::here(),
            comparisons: Vec::new(),
            work: Vec::new(),
            memory: Vec::new(),
            latencies: Vec::new(),
            idle: Vec::new(),
            crowds: Vec::new(),
        }
    }
}

/// The library against the driver, at one point of a series.
#[derive(Debug, Serialize)]
pub struct Comparison {
    pub scenario: &'static str,
    pub backend: &'static str,
    /// The name of the series.
    pub series: String,
    /// The quantity that grows along the series.
    pub axis: &'static str,
    pub at: u64,
    /// The library's rates in messages a second.
    pub library: Samples,
    /// The rates of the driver's fastest way.
    pub raw: Samples,
    pub other_raw: Vec<Samples>,
    /// The library's median divided by that of the driver's fastest way.
    pub ratio: f64,
    /// The ratio in each round. A slowdown of a whole round does not show here.
    pub ratios: Vec<f64>,
}

/// The work of the library for a message, a batch or a page.
#[derive(Debug, Serialize)]
pub struct Work {
    pub backend: &'static str,
    pub unit: &'static str,
    /// The time for one of them, in microseconds.
    pub micros: f64,
    /// The statements, by decreasing time.
    pub statements: Vec<StatementTime>,
}

/// The share of a statement.
#[derive(Debug, Serialize)]
pub struct StatementTime {
    /// The beginning of the statement.
    pub sql: String,
    /// The number of runs.
    pub times: f64,
    /// The time of all these runs together, in microseconds.
    pub micros: f64,
}

/// The growth of a consuming process.
#[derive(Debug, Serialize)]
pub struct Memory {
    pub backend: &'static str,
    pub rows: u64,
    pub page: usize,
    pub library_kib: u64,
    pub driver_kib: u64,
}

/// The times from the commit to the handler, in milliseconds.
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

/// The cost of an idle consumer.
#[derive(Debug, Serialize)]
pub struct Idle {
    pub backend: &'static str,
    pub statements_per_second: f64,
}

/// The cost of many idle consumers beside many locks of other programs, while another topic gets
/// messages.
#[derive(Debug, Serialize)]
pub struct Crowd {
    pub backend: &'static str,
    pub consumers: usize,
    pub foreign_locks: usize,
    pub messages_per_second: u32,
    /// The processor time of the server, in percent of a core.
    pub server_percent: f64,
    /// The processor time of the consumers and the publisher.
    pub client_percent: f64,
}

/// The place of a comparison.
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
    /// Creates a comparison. `samples` are those of the driver's ways, followed by the library's.
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
