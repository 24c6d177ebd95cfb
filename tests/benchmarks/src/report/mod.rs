//! The report of a run: tables in the terminal, and files in a folder.

mod comparisons;
mod numbers;
mod others;
mod plot;
mod section;

use std::fmt::Write;
use std::fs;
use std::path::Path;

use benchmark_rows::Failure;

pub use self::numbers::rounded;
pub use self::section::Section;
use crate::environment::Environment;
use crate::results::Results;

const EXPLANATION: &str = "\
Messages a second: the median of the rounds, with the slowest and the fastest round. *driver* is code written by
hand with the database's driver, which does not keep a reader from skipping messages that commit late. Of several
ways, it is the fastest. *ratio* is the library's rate divided by that of the driver: above 1, the library is
faster. The lowest and the highest ratio of a single round follow.
";

/// Prints the tables.
pub fn print(results: &Results) {
    for section in sections(results) {
        println!("\n{}\n{}", section.title, section.for_terminal());
    }
}

/// Writes the whole report into the folder.
pub fn write(results: &Results, folder: &Path) -> Result<(), Failure> {
    fs::create_dir_all(folder)?;
    let json = serde_json::to_string_pretty(results)?;
    fs::write(folder.join("results.json"), json)?;
    let plots = plot::draw(&results.comparisons, folder)?;
    let text = markdown(results, &sections(results), &plots)?;
    Ok(fs::write(folder.join("report.md"), text)?)
}

fn sections(results: &Results) -> Vec<Section> {
    let mut sections = comparisons::sections(&results.comparisons);
    sections.extend(others::sections(results));
    sections
}

fn markdown(results: &Results, sections: &[Section], plots: &[String]) -> Result<String, Failure> {
    let mut text = format!("# Benchmarks\n\n{EXPLANATION}");
    let Environment {
        cpus,
        processor,
        system,
        arguments,
    } = &results.environment;
    let arguments = arguments.join(" ");
    writeln!(
        text,
        "\n`./benchmark {arguments}` on {cpus} CPUs ({processor}), {system}."
    )?;
    for section in sections {
        writeln!(text, "\n## {}\n\n{}", section.title, section.as_markdown())?;
    }
    for plot in plots {
        write!(text, "\n![{plot}]({plot})\n")?;
    }
    Ok(text)
}
