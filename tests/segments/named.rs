//! Each control of the models of segments is replayed on a database, as far as that is possible.

use std::fs;
use std::path::Path;

/// The runs in which the laws hold without the mechanism, because another one is enough. There is no trace
/// to replay.
const NOT_REPLAYED: [&str; 4] = [
    "where_the_header_is_read_before_the_head",
    "where_rows_are_checked_once",
    "where_a_reset_keeps_owner_or_epoch",
    "with_the_epoch_only_and_no_late_store",
];

/// Returns the texts of the files of a folder.
fn texts(folder: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let files = fs::read_dir(&folder).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    paths
        .map(|path| fs::read_to_string(path).unwrap())
        .collect()
}

/// Returns the names of the tests that begin with these words.
fn controls() -> Vec<String> {
    let texts = texts("models/runs/segments");
    let lines = texts.iter().flat_map(|text| text.lines());
    let names = lines.filter_map(|line| line.strip_prefix("fn ")?.split_once("()"));
    let names = names.map(|(name, _)| name.to_owned());
    names
        .filter(|name| name.starts_with("where_") || name.starts_with("with_"))
        .collect()
}

#[test]
fn each_control_is_named_by_its_replay() {
    let (controls, tests) = (controls(), texts("segments"));
    assert!(controls.len() > 25, "{controls:?}");
    let is_named = |control: &str| {
        let quoted = format!("`{control}`");
        tests.iter().any(|text| text.contains(&quoted))
    };
    let is_replayed = |control: &String| !NOT_REPLAYED.contains(&&**control);
    let missing: Vec<_> = controls
        .iter()
        .filter(|it| is_replayed(it) && !is_named(it))
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
    for name in NOT_REPLAYED {
        assert!(controls.iter().any(|it| it == name), "{name}");
    }
}
