//! Names and texts in SQL, where they cannot be values of a statement.

/// Returns a name as an identifier.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Returns a literal that is the same text, whether or not the session has
/// `standard_conforming_strings`.
pub(super) fn quoted_text(text: &str) -> String {
    format!("E'{}'", text.replace('\\', r"\\").replace('\'', "''"))
}
