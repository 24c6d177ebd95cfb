//! Words that the documents, comments, errors and log events of this project do not use: see CONTRIBUTING.md, "English".

use std::fs;
use std::path::{Path, PathBuf};

/// In any form of upper and lower case, as whole words.
const WORDS: [&str; 22] = [
    "somebody",
    "nobody",
    "whoever",
    "whomever",
    "someone",
    "in vain",
    "anew",
    "at hand",
    "without this",
    "behind",
    "in front of",
    "safe head",
    "horizon",
    "sightings",
    "nudge",
    "nudges",
    "nudged",
    "likewise",
    "prolong",
    "prolongs",
    "prolonged",
    "gives up",
];

const ROOTS: [&str; 8] = [
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs",
    "crates",
    "examples",
    "tests",
];

#[test]
fn old_vocabulary_does_not_come_back() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    for start in ROOTS {
        collect(&root.join(start), &mut files);
    }
    assert!(files.len() > 300, "only {} files", files.len());
    let mut found = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        for (number, line) in text.lines().enumerate() {
            for word in words_in(line) {
                found.push(format!("{}:{}: {word}", file.display(), number + 1));
            }
        }
    }
    assert!(
        found.is_empty(),
        "{} places:\n{}",
        found.len(),
        found.join("\n")
    );
}

#[test]
fn words_are_found_whole_and_in_any_case() {
    assert_eq!(words_in("Nobody stands Behind it."), ["nobody", "behind"]);
    assert!(words_in("the beehive of manewals").is_empty());
}

fn words_in(line: &str) -> Vec<&'static str> {
    let line = line.to_lowercase();
    let is_whole = |word: &str| {
        line.match_indices(word).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            let after = line[at + word.len()..].chars().next();
            let ends = |it: Option<char>| it.is_none_or(|it| !it.is_alphanumeric());
            ends(before) && ends(after)
        })
    };
    WORDS.into_iter().filter(|word| is_whole(word)).collect()
}

/// Markdown and Rust, but for this file, for what is measured, and for what other programs say.
fn collect(path: &Path, files: &mut Vec<PathBuf>) {
    let skipped = [
        "docs/benchmarks",
        "tests/vocabulary.rs",
        "target",
        "tests/data",
    ];
    if skipped.iter().any(|skipped| path.ends_with(skipped)) {
        return;
    }
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            collect(&entry.unwrap().path(), files);
        }
    } else if path.extension().is_some_and(|it| it == "rs" || it == "md") {
        files.push(path.to_owned());
    }
}
