//! `quickstart` continues after its first run.

use std::process::Command;

use super::text_of;

#[test]
fn quickstart_resumes_in_its_second_run() {
    let folder = tempfile::tempdir().unwrap();
    let run = || {
        let output = Command::new(env!("CARGO_BIN_EXE_quickstart"))
            .current_dir(&folder)
            .output()
            .unwrap();
        text_of(output)
    };
    let first = run();
    let lines: Vec<_> = first.lines().collect();
    assert_eq!(
        lines,
        [
            "   1  order 1:   1250 cents",
            "   2  order 2:   9900 cents",
            "   4  order 2:  -9900 cents",
            "Caught up."
        ]
    );
    let second = run();
    let positions: Vec<_> = second
        .lines()
        .map(|line| line.trim_start().chars().next())
        .collect();
    assert_eq!(positions, [Some('5'), Some('6'), Some('8'), Some('C')]);
}
