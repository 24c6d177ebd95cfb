//! Compares the library of this checkout with that of another commit. Two programs, each with one
//! of the libraries, measure the same rows in turn on the same servers.

mod building;
mod checkout;
mod git;
mod mirror;
mod options;
mod outcome;
mod pairs;
mod pattern;
mod programs;
mod row_server;
mod shared_servers;

use std::fs;
use std::path::Path;

use benchmark_rows::Failure;
use benchmark_rows::serving::Load;

pub use self::options::Options;
use self::outcome::{Outcome, Row};
use self::pairs::{Side, pairs};
use self::pattern::chosen;
use self::programs::Programs;
use self::row_server::RowServer;
use self::shared_servers::SharedServers;
use crate::arguments::Arguments;
use crate::progress::Progress;

/// The name of the result file in the folder of the report.
const FILE: &str = "against.json";

/// Returns the names of all rows, for the help text.
pub fn names_of_rows() -> String {
    let names = Load::ALL.map(Load::name);
    let names = names.join("\n  ");
    format!("Rows, prefixed by sqlite/, postgres/ or mariadb/:\n  {names}")
}

pub fn run(commit: &str, arguments: &Arguments) -> Result<(), Failure> {
    let programs = match arguments.compared.programs.as_deref() {
        Some([this, other]) => Programs::named(this, other, commit),
        _ => Programs::build(commit)?,
    };
    // The servers are dropped after the programs that are connected to them.
    let servers = SharedServers::start(&arguments.databases())?;
    let start = |program: &Path, side: &str, name: &str| {
        RowServer::start(program, name, servers.places(side, arguments.tiny))
    };
    let (mut this, rows_of_this) = start(&programs.this, "this", "this checkout")?;
    let (mut other, rows_of_other) = start(&programs.other, "other", &programs.compared.other)?;
    let turn_at = |row: &str, side| {
        let server = match side {
            Side::This => &mut this,
            Side::Other => &mut other,
        };
        Ok(server.turn(row)?.per_second())
    };
    let (rows, not_compared) = rows(&rows_of_this, &rows_of_other, &arguments.compared.rows)?;
    let mut outcome = Outcome::new(programs.compared, not_compared);
    compare(&rows, arguments, turn_at, &mut outcome)?;
    outcome.print();
    println!("In {}", arguments.report.join(FILE).display());
    Ok(())
}

/// Returns the chosen rows: those that both sides can measure, and those that only one side can.
fn rows(
    of_this: &[String],
    of_other: &[String],
    patterns: &[String],
) -> Result<(Vec<String>, Vec<String>), Failure> {
    let more = of_other.iter().filter(|row| !of_this.contains(row));
    let all: Vec<_> = of_this.iter().chain(more).cloned().collect();
    let is_common = |row: &String| of_this.contains(row) && of_other.contains(row);
    let (common, others): (Vec<_>, Vec<_>) =
        chosen(all, patterns)?.into_iter().partition(is_common);
    if common.is_empty() {
        let patterns = patterns.join(", ");
        return Err(
            format!("no row of both sides matches {patterns}; --help lists the rows").into(),
        );
    }
    Ok((common, others))
}

/// Compares row by row, and writes each result at once.
fn compare(
    rows: &[String],
    arguments: &Arguments,
    mut turn_at: impl FnMut(&str, Side) -> Result<f64, Failure>,
    outcome: &mut Outcome,
) -> Result<(), Failure> {
    fs::create_dir_all(&arguments.report)?;
    let progress = Progress::of(rows.len())?;
    for row in rows {
        progress.begin(row);
        let pairs = pairs(arguments.compared.pairs.into(), |side| turn_at(row, side))?;
        outcome.rows.push(Row::new(row, &pairs));
        let json = serde_json::to_string_pretty(outcome)?;
        fs::write(arguments.report.join(FILE), json)?;
        progress.done();
    }
    progress.finish();
    Ok(())
}
