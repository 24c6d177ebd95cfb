//! What does not compile says what to write instead.
//!
//! After a change on purpose, `TRYBUILD=overwrite cargo test -p persisting-message-bus-tests --test
//! ui` writes the texts again.

use std::fs;
use std::path::{Path, PathBuf};

/// Without a case that passes, one call of cargo checks all cases, which saves minutes.
#[test]
fn mistakes_do_not_compile() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("ui/fail/*.rs");
    cases.compile_fail("ui/several/*.rs");
}

#[test]
fn hygiene_compiles() {
    trybuild::TestCases::new().pass("ui/pass/*.rs");
}

#[test]
fn each_mistake_is_one_error() {
    let mistakes = files("ui/fail", "rs");
    assert!(mistakes.len() >= 200, "only {} mistakes", mistakes.len());
    assert_eq!(mistakes.len(), files("ui/fail", "stderr").len());
    for mistake in mistakes {
        assert_eq!(errors(&mistake), 1, "{}", mistake.display());
    }
}

/// The first line of each file has the number of errors, and the reason.
#[test]
fn several_mistakes_are_as_many_errors_as_expected() {
    let several = files("ui/several", "rs");
    assert!(several.len() >= 15, "only {} files", several.len());
    for mistakes in several {
        let text = fs::read_to_string(&mistakes).unwrap();
        let (number, _) = text
            .strip_prefix("// ")
            .and_then(|text| text.split_once(" errors: "))
            .unwrap_or_else(|| panic!("{}: no number of errors", mistakes.display()));
        assert_eq!(
            errors(&mistakes),
            number.parse::<usize>().unwrap(),
            "{}",
            mistakes.display()
        );
    }
}

/// Returns the number of errors that the compiler shows for a file.
fn errors(mistake: &Path) -> usize {
    let text = fs::read_to_string(mistake.with_extension("stderr")).unwrap();
    text.lines()
        .filter(|line| line.starts_with("error"))
        .count()
}

fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect()
}
