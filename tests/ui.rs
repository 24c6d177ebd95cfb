//! What does not compile says what to write instead.
//!
//! After a change on purpose, `TRYBUILD=overwrite cargo test -p persisting-message-bus-tests --test
//! ui` writes the texts again.

use std::fs;
use std::path::PathBuf;

#[test]
fn mistakes_do_not_compile_and_hygiene_does() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("ui/fail/*.rs");
    cases.compile_fail("ui/several/*.rs");
    cases.pass("ui/pass/*.rs");
}

#[test]
fn each_mistake_is_one_error() {
    let mistakes = files("ui/fail", "rs");
    assert!(mistakes.len() >= 25, "only {} mistakes", mistakes.len());
    assert_eq!(mistakes.len(), files("ui/fail", "stderr").len());
    for mistake in mistakes {
        let text = fs::read_to_string(mistake.with_extension("stderr")).unwrap();
        let errors = text
            .lines()
            .filter(|line| line.starts_with("error"))
            .count();
        assert_eq!(errors, 1, "{}:\n{text}", mistake.display());
    }
}

fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect()
}
