//! The results, as a table and as JSON.

use serde::Serialize;

use super::pairs::Pair;
use super::programs::Compared;
use crate::environment::Environment;
use crate::report::{Section, rounded};
use crate::statistics::{Interval, interval_of_median, median};

/// The results of a run.
#[derive(Debug, Serialize)]
pub struct Outcome {
    pub environment: Environment,
    pub compared: Compared,
    /// The method of the intervals.
    pub interval: &'static str,
    pub rows: Vec<Row>,
    /// The rows that only one side can measure.
    pub not_compared: Vec<String>,
}

const INTERVAL: &str =
    "of the median of the pairs' ratios: the exact binomial one, between two of them";

#[derive(Debug, Serialize)]
pub struct Row {
    pub name: String,
    /// The median of the ratios of the pairs. Above 1, this checkout is faster.
    pub ratio: f64,
    /// `null` for fewer than six pairs.
    pub interval: Option<Interval>,
    /// This checkout's rate divided by that of the commit, for each pair.
    pub ratios: Vec<f64>,
    /// The messages a second in each turn.
    pub this: Vec<f64>,
    pub other: Vec<f64>,
}

impl Row {
    /// Computes a row from at least one pair.
    pub fn new(name: &str, pairs: &[Pair]) -> Self {
        let ratios: Vec<_> = pairs.iter().map(|pair| pair.this / pair.other).collect();
        Self {
            name: name.to_owned(),
            ratio: median(&ratios),
            interval: interval_of_median(&ratios),
            ratios,
            this: pairs.iter().map(|pair| pair.this).collect(),
            other: pairs.iter().map(|pair| pair.other).collect(),
        }
    }

    /// Returns the verdict that the interval supports.
    fn verdict(&self) -> &'static str {
        match self.interval {
            Some(Interval { low, .. }) if low > 1.0 => "faster",
            Some(Interval { high, .. }) if high < 1.0 => "slower",
            _ => "",
        }
    }

    fn cells(&self) -> Vec<String> {
        let interval = match self.interval {
            Some(Interval { low, high, .. }) => format!("{low:.3}..{high:.3}"),
            None => "–".to_owned(),
        };
        vec![
            self.name.clone(),
            self.verdict().to_owned(),
            rounded(median(&self.this)),
            rounded(median(&self.other)),
            format!("{:.3}", self.ratio),
            interval,
        ]
    }
}

const HEADER: &[&str] = &["row", "is", "this/s", "other/s", "ratio", "95 %"];

impl Outcome {
    /// Returns an outcome without rows.
    pub fn new(compared: Compared, not_compared: Vec<String>) -> Self {
        Self {
            environment: Environment::here(),
            compared,
            interval: INTERVAL,
            rows: Vec::new(),
            not_compared,
        }
    }

    pub fn print(&self) {
        let Compared { this, other, .. } = &self.compared;
        let rows = self.rows.iter().map(Row::cells);
        let table = Section::new(format!("{this} by {other}"), HEADER, 2, rows);
        println!("\n{}\n{}", table.title, table.for_terminal());
        for row in &self.not_compared {
            println!("Not compared, because only one side has it: {row}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a row whose ratios vary around `ratio`.
    fn row(ratio: f64) -> Row {
        let pairs = (0..20).map(|pair| {
            let other = 1_000.0 + f64::from(pair);
            let noise = 1.0 + f64::from(pair % 5 - 2) / 1_000.0;
            Pair {
                this: other * ratio * noise,
                other,
            }
        });
        Row::new("row", &pairs.collect::<Vec<_>>())
    }

    #[test]
    fn a_row_is_slower_or_faster_if_its_whole_interval_is() {
        assert_eq!(row(0.99).verdict(), "slower");
        assert_eq!(row(1.0).verdict(), "");
        assert_eq!(row(1.01).verdict(), "faster");
    }

    #[test]
    fn ratios_are_those_of_pairs_and_not_of_medians() {
        let of = |this, other| Pair { this, other };
        let row = Row::new(
            "row",
            &[of(900.0, 300.0), of(200.0, 100.0), of(100.0, 200.0)],
        );
        assert_eq!(row.ratio, 2.0);
        assert_eq!(row.cells()[5], "–");
    }
}
