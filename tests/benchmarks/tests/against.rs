//! A comparison with a commit runs, with existing programs. The test does not check the figures.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// The benchmark program, which can be a row server, too.
const PROGRAM: &str = env!("CARGO_BIN_EXE_benchmark");

const ROWS: [&str; 9] = [
    "sqlite/consume/external/500",
    "sqlite/consume/external/5000",
    "sqlite/consume/transactional/500",
    "sqlite/consume/transactional/5000",
    "sqlite/consume/insert-per-message/500",
    "sqlite/publish/single/1",
    "sqlite/publish/single/16",
    "sqlite/publish/batch/100",
    "sqlite/publish/batch/1000",
];

#[test]
fn a_program_is_compared_with_itself() {
    let folder = tempfile::tempdir().unwrap();
    let run = compare(folder.path(), PROGRAM, &["--pairs", "6"]);
    let printed = text(&run.stdout);
    assert!(run.status.success(), "{}", text(&run.stderr));

    let results = fs::read_to_string(folder.path().join("against.json")).unwrap();
    let results: Value = serde_json::from_str(&results).unwrap();
    assert_eq!(names(&results), ROWS);
    for row in results["rows"].as_array().unwrap() {
        for turns in ["this", "other", "ratios"] {
            assert_eq!(row[turns].as_array().unwrap().len(), 6, "{turns} of {row}");
        }
        let [low, ratio, high] = [
            &row["interval"]["low"],
            &row["ratio"],
            &row["interval"]["high"],
        ]
        .map(number);
        assert!(low <= ratio && ratio <= high, "{row}");
        assert!(printed.contains(row["name"].as_str().unwrap()), "{printed}");
    }
}

#[test]
fn patterns_choose_rows() {
    let folder = tempfile::tempdir().unwrap();
    let patterns = [
        "--pairs",
        "1",
        "--rows",
        "*/batch/100",
        "--rows",
        "insert-per",
    ];
    let run = compare(folder.path(), PROGRAM, &patterns);
    assert!(run.status.success(), "{}", text(&run.stderr));
    let results = fs::read_to_string(folder.path().join("against.json")).unwrap();
    let results: Value = serde_json::from_str(&results).unwrap();
    let chosen = [
        "sqlite/consume/insert-per-message/500",
        "sqlite/publish/batch/100",
    ];
    assert_eq!(names(&results), chosen);
    assert!(results["rows"][0]["interval"].is_null(), "of one pair");

    let run = compare(folder.path(), PROGRAM, &["--rows", "nonsense"]);
    assert!(!run.status.success());
    assert!(
        text(&run.stderr).contains("nonsense"),
        "{}",
        text(&run.stderr)
    );
}

#[test]
fn a_row_that_only_one_side_has_is_not_compared() {
    let folder = tempfile::tempdir().unwrap();
    let other = script(
        folder.path(),
        r#"read begin; echo '{"rows":["sqlite/publish/single/1","sqlite/something/new"]}'
        while read run; do echo '{"done":{"messages":10,"seconds":0.5}}'; done"#,
    );
    let run = compare(
        folder.path(),
        &other,
        &["--pairs", "1", "--rows", "single", "--rows", "new"],
    );
    let printed = text(&run.stdout);
    assert!(run.status.success(), "{}", text(&run.stderr));
    let results = fs::read_to_string(folder.path().join("against.json")).unwrap();
    let results: Value = serde_json::from_str(&results).unwrap();
    assert_eq!(names(&results), ["sqlite/publish/single/1"]);
    assert_eq!(number(&results["rows"][0]["other"][0]), 20.0);
    for only_one in ["sqlite/something/new", "sqlite/publish/single/16"] {
        assert!(printed.contains(only_one), "{printed}");
    }
}

#[test]
fn a_side_that_fails_ends_the_run_with_its_error() {
    let folder = tempfile::tempdir().unwrap();
    let rows = r#"read begin; echo '{"rows":["sqlite/publish/single/1"]}'; read run; "#;
    for (then, error) in [
        (
            r#"echo '{"failed":"a full disk"}'; read run"#,
            "a full disk",
        ),
        ("exit 3", "exit status: 3"),
        (
            r#"echo '{"done":{"messages":0,"seconds":0.5}}'; read run"#,
            "no messages",
        ),
    ] {
        let other = script(folder.path(), &format!("{rows}{then}"));
        let run = compare(folder.path(), &other, &["--pairs", "1"]);
        let errors = text(&run.stderr);
        assert!(!run.status.success());
        assert!(
            errors.contains(error) && errors.contains("the commit"),
            "{errors}"
        );
    }
}

#[test]
fn too_few_pairs_are_refused() {
    let run = Command::new(PROGRAM)
        .args(["sqlite", "--against", "HEAD", "--pairs", "19"])
        .output()
        .unwrap();
    assert_eq!(run.status.code(), Some(2));
    assert!(
        text(&run.stderr).contains("at least 20"),
        "{}",
        text(&run.stderr)
    );
}

/// Runs a comparison with a program in place of that of the commit.
fn compare(report: &Path, other: &str, arguments: &[&str]) -> Output {
    Command::new(PROGRAM)
        .args(["sqlite", "--tiny", "--against", "the commit"])
        .args(["--programs", PROGRAM, other])
        .args(arguments)
        .arg("--report")
        .arg(report)
        .output()
        .unwrap()
}

fn script(folder: &Path, commands: &str) -> String {
    let path = folder.join("row-server");
    fs::write(&path, format!("#!/bin/sh\n{commands}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

fn names(results: &Value) -> Vec<&str> {
    let rows = results["rows"].as_array().unwrap();
    rows.iter()
        .map(|row| row["name"].as_str().unwrap())
        .collect()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_owned()).unwrap()
}
