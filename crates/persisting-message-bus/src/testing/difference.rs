/// Returns the lines in which two texts differ, with some lines around them.
pub(super) fn difference(expected: &str, found: &str) -> String {
    similar::TextDiff::from_lines(expected, found)
        .unified_diff()
        .header("expected", "found")
        .to_string()
}
