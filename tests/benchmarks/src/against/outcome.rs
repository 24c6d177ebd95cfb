//! What came out, for people and for programs.

use serde::Serialize;

use super::pairs::Pair;
use super::programs::Compared;
use crate::environment::Environment;
use crate::report::{Section, rounded};
use crate::statistics::{Interval, interval_of_median, median};

/// All of a run.
#[derive(Debug, Serialize)]
pub struct Outcome {
    pub environment: Environment,
    pub compared: Compared,
    /// How the intervals are made.
    pub interval: &'static str,
    pub rows: Vec<Row>,
    /// Those that only one of both can measure.
    pub not_compared: Vec<String>,
}

const INTERVAL: &str =
    "of the median of the pairs' ratios: the exact binomial one, between two of them";

#[derive(Debug, Serialize)]
pub struct Row {
    pub name: String,
    /// The median of the ratios of the pairs: above 1, this checkout is faster.
    pub ratio: f64,
    /// `null` for fewer than six pairs.
    pub interval: Option<Interval>,
    /// This checkout's rate by that of the commit, pair by pair.
    pub ratios: Vec<f64>,
    /// Messages a second, turn by turn.
    pub this: Vec<f64>,
    pub other: Vec<f64>,
}

impl Row {
    /// Of one pair at least.
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

    /// What the interval allows to say.
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
    /// No rows yet.
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
            println!("Not compared, since only one of both has it: {row}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a side that is so many times as fast as the other, give or take.
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
