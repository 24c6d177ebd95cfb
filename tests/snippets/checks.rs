//! What must be true of a document's code.

use std::collections::BTreeSet;

use similar::TextDiff;

use super::blocks::{Block, Comment, blocks};
use super::fences::{is_hidden, is_rust};
use super::files::Files;
use super::regions::{Region, regions};

/// The blocks that rustdoc compiles.
const COMPILED: [&str; 3] = ["rust", "rust,no_run", "rust,compile_fail"];
const REGION: &str = "rust,ignore";

pub(crate) struct Outcome {
    pub(crate) faults: Vec<String>,
    /// The document with the text of each region in its block.
    pub(crate) corrected: String,
}

pub(crate) fn check(document: &str, text: &str, files: &Files) -> Outcome {
    let (blocks, loose) = blocks(text);
    let (mut faults, mut corrected) = (Vec::new(), text.to_owned());
    let mut fault = |line: usize, fact: &str| faults.push(format!("{document}:{line}: {fact}"));
    for Comment { line, .. } in loose.iter().filter(|it| named(it).is_some()) {
        fault(*line, "no block of code follows the comment");
    }
    // Backwards, because a correction moves the blocks after it.
    for block in blocks.iter().rev() {
        let region = block.comment.as_ref().and_then(named);
        if region.is_none() && !is_rust(block.info.as_deref()) {
            continue;
        }
        for (line, number) in block.code.lines().zip(block.first_line()..) {
            if is_hidden(line) {
                fault(
                    number,
                    "rustdoc hides a `#` here, and GitHub does not; show a region of an example",
                );
            }
        }
        let checked = match region {
            None => check_program(document, block, files),
            Some((file, name)) => check_region(block, file, name, files),
        };
        if let Err(Wrong { fact, code }) = checked {
            fault(block.line, &fact);
            if let Some(code) = code {
                corrected.replace_range(block.place.clone(), &block.indented(&code));
            }
        }
    }
    faults.reverse();
    Outcome { faults, corrected }
}

/// `code` is the code that the block must have, if that is known.
struct Wrong {
    fact: String,
    code: Option<String>,
}

impl From<String> for Wrong {
    fn from(fact: String) -> Self {
        Self { fact, code: None }
    }
}

/// A block without a region must be compiled by rustdoc.
fn check_program(document: &str, block: &Block, files: &Files) -> Result<(), Wrong> {
    let info = block.info.as_deref().unwrap_or_default();
    let fact = if info == REGION {
        "nothing compiles the block; name a region above it: <!-- examples/worker.rs: retry -->"
            .into()
    } else if !COMPILED.contains(&info) {
        format!("the fence is {info:?}; write one of {COMPILED:?}, or {REGION:?} with a region")
    } else if !files.included.contains(document) {
        "no crate includes the document, so nothing compiles the block; show a region of an example"
            .into()
    } else {
        return Ok(());
    };
    Err(fact.into())
}

/// A block with a region must be equal to it, and only the example must be compiled.
fn check_region(block: &Block, file: &str, name: &str, files: &Files) -> Result<(), Wrong> {
    let info = block.info.as_deref().unwrap_or_default();
    if info != REGION {
        return Err(format!("the fence of a region is {info:?}; write {REGION:?}").into());
    }
    let region = region(file, name, files)?;
    if region.code == block.code {
        return Ok(());
    }
    let fact = difference(block, file, &region);
    let code = Some(region.code);
    Err(Wrong { fact, code })
}

/// Returns a fault for each region that no document shows, and for each mark that makes no region.
pub(crate) fn unused_regions(files: &Files) -> Vec<String> {
    let shown: BTreeSet<_> = files
        .documents
        .values()
        .flat_map(|text| blocks(text).0)
        .filter_map(|block| block.comment)
        .filter_map(|comment| named(&comment).map(|(file, name)| format!("{file}: {name}")))
        .collect();
    let mut faults = Vec::new();
    for (file, source) in &files.examples {
        match regions(source) {
            Err((line, fact)) => faults.push(format!("{file}:{line}: {fact}")),
            Ok(regions) => {
                let unused = regions
                    .iter()
                    .filter(|it| !shown.contains(&format!("{file}: {}", it.0)));
                faults.extend(unused.map(|(name, region)| {
                    format!(
                        "{file}:{}: no document shows the region {name}",
                        region.line
                    )
                }));
            }
        }
    }
    faults
}

/// Returns the file and the region that a comment names.
fn named(comment: &Comment) -> Option<(&str, &str)> {
    let (file, name) = comment.text.split_once(':')?;
    file.trim()
        .ends_with(".rs")
        .then_some((file.trim(), name.trim()))
}

fn region(file: &str, name: &str, files: &Files) -> Result<Region, String> {
    let source = files.examples.get(file).ok_or_else(|| {
        format!("{file} is no source of a program of examples/Cargo.toml, so nothing compiles it")
    })?;
    let mut regions = regions(source).map_err(|(line, fact)| format!("{file}:{line}: {fact}"))?;
    regions
        .remove(name)
        .ok_or_else(|| format!("{file} has no region {name}; mark it: // docs: {name}"))
}

fn difference(block: &Block, file: &str, region: &Region) -> String {
    let diff = TextDiff::from_lines(block.code.as_str(), region.code.as_str());
    let source = format!("{file}:{}", region.line);
    format!(
        "the block differs from {source}; SNIPPETS=overwrite writes the region into it\n{}",
        diff.unified_diff().header("the block", &source)
    )
}
