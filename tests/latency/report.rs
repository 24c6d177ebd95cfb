use std::fmt;
use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets::UTF8_BORDERS_ONLY};
use serde_json::{Value, json};

use crate::pace::Pace;

/// All that was measured.
pub struct Report {
    pub seed: u64,
    latencies: Vec<Latencies>,
    idle: Vec<(&'static str, f64)>,
}

struct Latencies {
    database: &'static str,
    pace: String,
    nudged: bool,
    sorted: Vec<Duration>,
}

/// So many of a thousand are not slower.
const QUANTILES: [(&str, usize); 5] = [
    ("p50", 500),
    ("p90", 900),
    ("p99", 990),
    ("p99.9", 999),
    ("max", 1_000),
];

impl Report {
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            latencies: Vec::new(),
            idle: Vec::new(),
        }
    }

    pub fn add_latencies(
        &mut self,
        database: &'static str,
        pace: &Pace,
        nudged: bool,
        mut latencies: Vec<Duration>,
    ) {
        latencies.sort_unstable();
        self.latencies.push(Latencies {
            database,
            pace: pace.to_string(),
            nudged,
            sorted: latencies,
        });
    }

    pub fn add_idle(&mut self, database: &'static str, statements_per_second: f64) {
        self.idle.push((database, statements_per_second));
    }

    pub fn to_json(&self) -> Value {
        let latencies = self.latencies.iter().map(|of| {
            let quantiles = of
                .milliseconds()
                .map(|(name, value)| (name.to_owned(), value.into()));
            json!({
                "database": of.database,
                "pace": of.pace,
                "nudged": of.nudged,
                "messages": of.sorted.len(),
                "milliseconds": Value::Object(quantiles.into_iter().collect()),
            })
        });
        let idle = self.idle.iter().map(|(database, statements_per_second)| {
            json!({ "database": database, "statements_per_second": statements_per_second })
        });
        json!({
            "seed": self.seed,
            "latencies": latencies.collect::<Vec<_>>(),
            "idle": idle.collect::<Vec<_>>(),
        })
    }
}

impl Latencies {
    /// There is a message at each pace.
    fn milliseconds(&self) -> [(&'static str, f64); 5] {
        QUANTILES.map(|(name, thousandths)| {
            let rank = (self.sorted.len() * thousandths).div_ceil(1_000);
            (name, self.sorted[rank - 1].as_secs_f64() * 1_000.0)
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = QUANTILES.map(|(name, _)| name);
        let header = ["database", "published", "nudged", "messages"];
        let mut table = Table::new();
        table.load_style(UTF8_BORDERS_ONLY);
        table.set_header(header.into_iter().chain(names));
        for of in &self.latencies {
            let nudged = if of.nudged { "yes" } else { "no" };
            let messages = of.sorted.len().to_string();
            let row = [of.database, &of.pace, nudged, &messages].map(str::to_owned);
            let quantiles = of.milliseconds().map(|(_, value)| format!("{value:.2}"));
            table.add_row(row.into_iter().chain(quantiles));
        }
        for column in table.column_iter_mut().skip(3) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        writeln!(
            formatter,
            "From the commit to the handler, in milliseconds:\n\n{table}"
        )?;
        for (database, statements) in &self.idle {
            write!(
                formatter,
                "\n{database}: idle, {statements:.2} statements a second"
            )?;
        }
        Ok(())
    }
}
