//! Templates of the SQL that a database keeps: functions and procedures.

/// Replaces each `{key}` of a template for which there is a value. Other braces stay as they are. A
/// value is not searched again, because it can contain braces.
pub(super) fn fill(template: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let mut filled = String::with_capacity(2 * template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let known = after
            .split_once('}')
            .and_then(|(key, after)| Some((value(key)?, after)));
        match known {
            Some((value, after)) => {
                filled.push_str(&value);
                rest = after;
            }
            None => {
                filled.push('{');
                rest = after;
            }
        }
    }
    filled + rest
}
