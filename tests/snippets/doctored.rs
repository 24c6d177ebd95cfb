//! Documents and examples with a fault each, which the checks must find.

use std::collections::{BTreeMap, BTreeSet};

use super::checks::{check, unused_regions};
use super::files::Files;
use super::regions::regions;

const EXAMPLE: &str = "\
fn main() {
    // docs: start
    start(|| {
        work();
    });
    // docs: end
    wait();
    // docs: start
    stop();
    // docs: end
}
";
const SHOWN: &str = "start(|| {\n    work();\n});\n// ...\nstop();\n";

fn files() -> Files {
    Files {
        examples: BTreeMap::from([("examples/a.rs".to_owned(), EXAMPLE.to_owned())]),
        included: BTreeSet::from(["docs/a.md".to_owned()]),
        ..Files::default()
    }
}

fn faults(document: &str) -> Vec<String> {
    check("docs/a.md", document, &files()).faults
}

#[track_caller]
fn assert_one_fault(document: &str, beginning: &str) {
    let faults = faults(document);
    let found = faults.len() == 1 && faults[0].starts_with(beginning);
    assert!(found, "{document}\n{faults:#?}");
}

/// Returns a document that shows the example's region with this code.
fn showing(code: &str) -> String {
    format!("# A\n\n<!-- examples/a.rs: start -->\n\n```rust,ignore\n{code}```\n")
}

#[test]
fn faults_are_not_found_in_programs_and_equal_regions() {
    let programs = "```rust\n#[test]\nfn a() {}\n#![a]\n```\n\n```rust,no_run\nfn main() {}\n```\n";
    assert_eq!(faults(programs), Vec::<String>::new());
    assert_eq!(faults(&showing(SHOWN)), Vec::<String>::new());
    assert_eq!(
        faults("```toml\n# A comment\n```\n\n```text\n# a\n```\n"),
        Vec::<String>::new()
    );
}

#[test]
fn hidden_lines_are_found() {
    assert_one_fault(
        "```rust\nlet a = 1;\n# let b = 2;\n```\n",
        "docs/a.md:3: rustdoc hides",
    );
    assert_one_fault(
        "```rust\n    #\nlet a = 1;\n```\n",
        "docs/a.md:2: rustdoc hides",
    );
    assert_one_fault(
        "````rust,no_run\n## a\n````\n",
        "docs/a.md:2: rustdoc hides",
    );
    assert_eq!(faults("a\n\n    # hidden\n").len(), 2);
    assert_one_fault("~~~rust\n# a\n~~~\n", "docs/a.md:2: rustdoc hides");
    assert_one_fault(
        "- a\n\n  ```rust\n  # a\n  ```\n",
        "docs/a.md:4: rustdoc hides",
    );
    assert_one_fault("> ```rust\n> # a\n> ```\n", "docs/a.md:2: rustdoc hides");
}

#[test]
fn blocks_that_nothing_compiles_are_found() {
    assert_one_fault(
        "```rust,ignore\nfn a() {}\n```\n",
        "docs/a.md:1: nothing compiles",
    );
    for info in [
        "rs",
        "Rust",
        "rust,ignore-windows",
        "rust ignore",
        "{.rust .ignore}",
        "ignore",
        "",
    ] {
        assert_one_fault(
            &format!("a\n\n```{info}\nfn a() {{}}\n```\n"),
            "docs/a.md:3: the fence is",
        );
    }
    assert_one_fault(
        "a\n\n    fn indented() {}\n",
        "docs/a.md:3: the fence is \"\"",
    );
    let elsewhere = check("docs/b.md", "```rust\nfn a() {}\n```\n", &files()).faults;
    assert!(
        elsewhere[0].starts_with("docs/b.md:1: no crate includes"),
        "{elsewhere:?}"
    );
}

#[test]
fn blocks_that_differ_from_their_region_are_found_and_corrected() {
    let document = showing(&SHOWN.replace("work", "rest"));
    let checked = check("docs/a.md", &document, &files());
    let fault = &checked.faults[0];
    assert!(
        fault.starts_with("docs/a.md:5: the block differs from examples/a.rs:2;"),
        "{fault}"
    );
    assert!(fault.contains("\n-    rest();\n+    work();\n"), "{fault}");
    assert_eq!(checked.corrected, showing(SHOWN));
    assert_eq!(
        check("docs/a.md", &showing(""), &files()).corrected,
        showing(SHOWN)
    );
}

#[test]
fn blocks_in_lists_are_corrected_with_their_margin() {
    let listed = |code: &str| {
        let block = showing(code)
            .replace('\n', "\n  ")
            .replace("\n  \n", "\n\n");
        format!("- {}\n\nA text.\n", block.trim_end())
    };
    assert_eq!(faults(&listed(SHOWN)), Vec::<String>::new());
    let corrected = check("docs/a.md", &listed("old();\n"), &files()).corrected;
    assert_eq!(corrected, listed(SHOWN));
}

#[test]
fn comments_that_name_no_region_or_are_above_no_block_are_found() {
    let without = |from, to| showing(SHOWN).replace(from, to);
    assert_one_fault(
        &without(": start", ": begin"),
        "docs/a.md:5: examples/a.rs has no region begin",
    );
    assert_one_fault(
        &without("a.rs", "b.rs"),
        "docs/a.md:5: examples/b.rs is no source",
    );
    assert_one_fault(
        &without("rust,ignore", "rust"),
        "docs/a.md:5: the fence of a region",
    );
    assert_one_fault(
        &without("rust,ignore", "text"),
        "docs/a.md:5: the fence of a region",
    );
    let loose = "<!-- examples/a.rs: start -->\n\nA text.\n\n```rust\nfn a() {}\n```\n";
    assert_one_fault(loose, "docs/a.md:1: no block of code follows");
    assert_one_fault(
        "<!-- examples/a.rs: start -->\n",
        "docs/a.md:1: no block of code follows",
    );
}

#[test]
fn regions_that_are_malformed_or_unused_are_found() {
    for (source, line) in [
        ("// docs: a\na\n", 1),
        ("a\n// docs: end\n", 2),
        ("// docs: a\na\n// docs: b\nb\n// docs: end\n", 3),
        ("a\n// docs: a\n\n// docs: end\n", 2),
    ] {
        assert_eq!(regions(source).unwrap_err().0, line, "{source}");
    }
    let mut files = files();
    assert_eq!(
        unused_regions(&files),
        ["examples/a.rs:2: no document shows the region start"]
    );
    files
        .documents
        .insert("docs/a.md".to_owned(), showing(SHOWN));
    assert_eq!(unused_regions(&files), Vec::<String>::new());
}
