//! The regions of an example, between the comments `// docs: name` and `// docs: end`. A region can
//! have several parts; `// ...` joins them.

use std::collections::BTreeMap;

const MARK: &str = "// docs:";

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Region {
    /// The line of its first mark.
    pub(crate) line: usize,
    pub(crate) code: String,
}

/// # Errors
///
/// A region without an end, an end without a region, a region in a region, and an empty region,
/// with the line.
pub(crate) fn regions(source: &str) -> Result<BTreeMap<String, Region>, (usize, String)> {
    let mut regions = BTreeMap::<String, Region>::new();
    let mut open: Option<(usize, &str, Vec<&str>)> = None;
    for (text, line) in source.lines().zip(1..) {
        let Some(name) = text.trim().strip_prefix(MARK).map(str::trim) else {
            if let Some((_, _, part)) = &mut open {
                part.push(text);
            }
            continue;
        };
        match (open.take(), name) {
            (None, "end") => return Err((line, "no region ends here".to_owned())),
            (None, name) => open = Some((line, name, Vec::new())),
            (Some((start, name, part)), "end") => {
                let part = dedented(&part);
                if part.trim().is_empty() {
                    return Err((start, format!("the region {name} is empty")));
                }
                let line = start;
                let known = regions.entry(name.to_owned());
                let region = known.or_insert_with(|| Region {
                    line,
                    code: String::new(),
                });
                if !region.code.is_empty() {
                    region.code.push_str("// ...\n");
                }
                region.code.push_str(&part);
            }
            (Some((_, outer, _)), _) => {
                return Err((
                    line,
                    format!("the region {outer} has no end before this one"),
                ));
            }
        }
    }
    match open {
        Some((line, name, _)) => Err((line, format!("the region {name} has no end"))),
        None => Ok(regions),
    }
}

/// Without the indentation that all lines have.
fn dedented(lines: &[&str]) -> String {
    let indentation = |line: &&str| line.len() - line.trim_start().len();
    let filled = lines.iter().filter(|line| !line.trim().is_empty());
    let common = filled.map(indentation).min().unwrap_or(0);
    let dedented = lines.iter().map(|line| line.get(common..).unwrap_or(""));
    dedented.map(|line| format!("{line}\n")).collect()
}
