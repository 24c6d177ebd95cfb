//! Calls of Cargo, and the files that it needs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use benchmark_rows::Failure;
use serde_json::Value;

/// The folder of the measuring package in any checkout.
pub const ROWS: &str = "tests/benchmarks/rows";

/// The file that the folder contains if the package is a program.
pub const MAIN: &str = "tests/benchmarks/rows/src/main.rs";

const PACKAGE: &str = "persisting-message-bus-benchmark-rows";
const PROGRAM: &str = "row-server";

/// Builds a checkout's row server into Cargo's default folder or into `target`, and returns the
/// path of the program. Cargo prints its progress and errors on the terminal.
pub fn row_server(
    checkout: &Path,
    target: Option<&Path>,
    locked: bool,
) -> Result<PathBuf, Failure> {
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(checkout)
        .args(["build", "--release", "--package", PACKAGE, "--bin", PROGRAM])
        .arg("--message-format=json-render-diagnostics")
        .stderr(Stdio::inherit());
    if locked {
        cargo.arg("--locked");
    }
    if let Some(target) = target {
        cargo.env("CARGO_TARGET_DIR", target);
    }
    let output = cargo.output().map_err(|cause| format!("cargo: {cause}"))?;
    if !output.status.success() {
        return Err("the checkout does not compile; see above".into());
    }
    program_of(&String::from_utf8(output.stdout)?)
        .ok_or_else(|| format!("Cargo reports no path for {PROGRAM}").into())
}

/// Returns the path of the program from Cargo's messages, of which each line is one JSON text.
fn program_of(messages: &str) -> Option<PathBuf> {
    let messages = messages.lines();
    let mut messages = messages.filter_map(|line| serde_json::from_str::<Value>(line).ok());
    messages.find_map(|message| {
        let is_it = message["target"]["name"] == PROGRAM;
        let executable = message["executable"].as_str().filter(|_| is_it);
        executable.map(PathBuf::from)
    })
}

/// Adds the folder of the measuring package to a checkout's workspace.
pub fn add_to_workspace(checkout: &Path) -> Result<(), Failure> {
    let path = checkout.join("Cargo.toml");
    let manifest = with_member(&fs::read_to_string(&path)?, ROWS)
        .map_err(|cause| format!("{}: {cause}", path.display()))?;
    Ok(fs::write(path, manifest)?)
}

fn with_member(manifest: &str, member: &str) -> Result<String, Failure> {
    let mut manifest: toml::Table = toml::from_str(manifest)?;
    let members = manifest
        .get_mut("workspace")
        .and_then(|workspace| workspace.get_mut("members"))
        .and_then(|members| members.as_array_mut())
        .ok_or("no workspace with members")?;
    if !members.iter().any(|known| known.as_str() == Some(member)) {
        members.push(member.into());
    }
    Ok(toml::to_string(&manifest)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workspace_gets_a_member_once() {
        let manifest = "[workspace]\ndefault-members = [\"a\"]\nmembers = [\"a\", \"b\"]\n";
        let once = with_member(manifest, "c/d").unwrap();
        let twice = with_member(&once, "c/d").unwrap();
        for manifest in [once, twice] {
            let manifest: toml::Table = toml::from_str(&manifest).unwrap();
            let members = manifest["workspace"]["members"].as_array().unwrap();
            assert_eq!(*members, ["a", "b", "c/d"].map(toml::Value::from));
        }
    }

    #[test]
    fn a_folder_without_a_workspace_gets_no_member() {
        let error = with_member("[package]\nname = \"a\"\n", "b").unwrap_err();
        assert_eq!(error.to_string(), "no workspace with members");
    }

    #[test]
    fn cargo_says_where_the_program_is() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"benchmark_rows"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"row-server"},"executable":"/target/release/row-server"}
{"reason":"build-finished","success":true}"#;
        let program = program_of(messages).unwrap();
        assert_eq!(program, Path::new("/target/release/row-server"));
    }
}
