use std::fmt::Write;

use super::table;
use crate::results::Results;

const EXPLANATION: &str = "\
Messages a second, as the median of the rounds, with the slowest and the fastest of them as spread. *driver* is \
what one writes by hand with the database's driver, without anything that keeps a reader from passing over \
messages that are committed late; of several ways the fastest. *ratio* is the library by the driver: above 1 the \
library is faster.
";

pub fn of(results: &Results) -> String {
    let mut text = format!("# Benchmarks\n\n{EXPLANATION}");
    let mut rest = &results.comparisons[..];
    while let [first, ..] = rest {
        let count = rest
            .iter()
            .take_while(|of| (of.backend, of.scenario) == (first.backend, first.scenario))
            .count();
        let (section, later) = rest.split_at(count);
        let (backend, scenario) = (first.backend, first.scenario);
        // Writing into a text does not fail.
        let _ = write!(
            text,
            "\n## {backend}: {scenario}\n\n{}\n",
            table::markdown(section)
        );
        rest = later;
    }
    text
}
