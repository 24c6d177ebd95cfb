//! The benchmarks run and write a report. The test does not check the figures.

use std::fs;
use std::process::Command;

use serde_json::Value;

#[test]
fn a_run_leaves_a_report() {
    let folder = tempfile::tempdir().unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_benchmark"))
        .args(["sqlite", "--tiny", "--report"])
        .arg(folder.path())
        .output()
        .unwrap();
    let (printed, errors) = (text(run.stdout), text(run.stderr));
    assert!(run.status.success(), "{errors}");
    assert!(printed.contains("sqlite: publish"), "{printed}");

    let results = fs::read_to_string(folder.path().join("results.json")).unwrap();
    let results: Value = serde_json::from_str(&results).unwrap();
    for measured in ["comparisons", "work", "latencies", "idle", "memory"] {
        assert!(
            !results[measured].as_array().unwrap().is_empty(),
            "{measured}"
        );
    }
    let report = fs::read_to_string(folder.path().join("report.md")).unwrap();
    assert!(report.contains("## sqlite: consume"), "{report}");
    let plot = fs::read_to_string(folder.path().join("publish-batches.svg")).unwrap();
    assert!(plot.contains("<svg"), "{plot}");
    assert!(report.contains("(publish-batches.svg)"), "{report}");
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}
