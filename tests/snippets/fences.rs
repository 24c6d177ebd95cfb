//! The fences and lines that rustdoc or GitHub treat in a way of their own.

/// The names that rustdoc or GitHub take for Rust.
const RUST: [&str; 2] = ["rust", "rs"];
/// Words that let rustdoc take a block without a language for Rust.
const ATTRIBUTES: [&str; 6] = [
    "ignore",
    "no_run",
    "compile_fail",
    "should_panic",
    "test_harness",
    "standalone_crate",
];

/// An indented block and one without a language are Rust for rustdoc.
pub(crate) fn is_rust(info: Option<&str>) -> bool {
    let words = info.unwrap_or_default().to_lowercase();
    let words: Vec<_> = words
        .split(|it: char| !(it.is_alphanumeric() || it == '_' || it == '-'))
        .filter(|word| !word.is_empty())
        .collect();
    let is_attribute = |word: &&str| {
        let word = word.split('-').next().unwrap();
        ATTRIBUTES.contains(&word) || word.starts_with("edition")
    };
    words.iter().any(|word| RUST.contains(word)) || words.iter().all(is_attribute)
}

/// rustdoc hides the line, or its first `#`.
pub(crate) fn is_hidden(line: &str) -> bool {
    let line = line.trim();
    line == "#" || line.starts_with("# ") || line.starts_with("##")
}
