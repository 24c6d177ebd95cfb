//! The Rust code of the documents is compiled. A block is a program as it stands, which rustdoc
//! compiles. Or a comment above it names a region of an example, and the block is equal to it:
//!
//! ````text
//! <!-- examples/worker.rs: retry -->
//!
//! ```rust,ignore
//! ````
//!
//! `SNIPPETS=overwrite` writes the regions into the documents.

mod blocks;
mod checks;
mod doctored;
mod fences;
mod files;
mod regions;

use std::fs;

use self::checks::{Outcome, check};
use self::files::Files;

#[test]
fn rust_code_of_the_documents_is_compiled() {
    let files = Files::of_the_project();
    let overwrite = std::env::var("SNIPPETS").is_ok_and(|value| value == "overwrite");
    let mut wrong = Vec::new();
    for (document, text) in &files.documents {
        let Outcome { faults, corrected } = check(document, text, &files);
        if overwrite && corrected != *text {
            fs::write(files.root.join(document), &corrected).unwrap();
            wrong.extend(check(document, &corrected, &files).faults);
        } else {
            wrong.extend(faults);
        }
    }
    wrong.extend(checks::unused_regions(&files));
    assert!(
        wrong.is_empty(),
        "{} faults:\n\n{}",
        wrong.len(),
        wrong.join("\n\n")
    );
}
