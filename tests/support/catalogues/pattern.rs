//! Converts formats of C's `printf` to patterns, in which `*` stands for a value.

/// Returns the first line of a format as a pattern, or `None` if it has no fixed text.
pub fn pattern_of(format: &str) -> Option<String> {
    let mut pattern = String::new();
    let mut rest = format.trim().lines().next()?.trim_end();
    while let Some(at) = rest.find('%') {
        pattern.push_str(&rest[..at]);
        let directive = &rest[at + 1..];
        if let Some(after) = directive.strip_prefix('%') {
            pattern.push('%');
            rest = after;
        } else {
            pattern.push('*');
            rest = after_directive(directive);
        }
    }
    pattern.push_str(rest);
    let is_fixed = pattern.chars().any(char::is_alphabetic);
    is_fixed.then_some(pattern)
}

/// Returns the rest after flags, width, length and conversion: `1$-.192s`, `llu`, MariaDB's `` `s
/// `` and `M`.
fn after_directive(directive: &str) -> &str {
    let is_modifier = |character: char| "0123456789$-+ #'.*hlzjtq`".contains(character);
    let conversion = directive.trim_start_matches(is_modifier);
    let mut characters = conversion.chars();
    characters.next();
    characters.as_str()
}

/// Returns a text that matches the pattern.
#[must_use]
pub fn example_of(pattern: &str) -> String {
    pattern.replace('*', "a value")
}
