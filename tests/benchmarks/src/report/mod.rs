//! What is left of a run: tables in the terminal, and a folder.

mod markdown;
mod table;

use std::fs;
use std::path::Path;

use crate::Failure;
use crate::results::Results;

pub fn write(results: &Results, folder: &Path) -> Result<(), Failure> {
    println!("{}", table::of(&results.comparisons));
    fs::create_dir_all(folder)?;
    let json = serde_json::to_string_pretty(results)?;
    fs::write(folder.join("results.json"), json)?;
    fs::write(folder.join("report.md"), markdown::of(results))?;
    println!("\nIn {}: report.md, results.json", folder.display());
    Ok(())
}
