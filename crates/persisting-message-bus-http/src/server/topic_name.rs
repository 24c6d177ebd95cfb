//! The names of topics as segments of a path.

use persisting_message_bus::backend::name_problem;
use tracing::warn;

use super::invalid::Invalid;

/// Characters that some proxies decode, or take for the end of a segment, although they are
/// percent-encoded in a request.
const FRAGILE: [char; 6] = ['/', '\\', ';', '%', '?', '#'];

/// Checks that requests for a topic can arrive. Logs a warning if some proxies do not pass them on.
pub(super) fn check(name: &str) -> Result<(), Invalid> {
    if name.is_empty() {
        return Err(Invalid::EmptyTopic);
    }
    // A proxy that decodes the path finds the segments of the name itself.
    if name
        .split(['/', '\\'])
        .any(|segment| segment == "." || segment == "..")
    {
        return Err(Invalid::DotTopic);
    }
    if let Some(problem) = name_problem(name) {
        return Err(Invalid::UnusableTopic(problem));
    }
    if name.contains(FRAGILE) {
        warn!(
            messaging.destination.name = name,
            "requests for this topic do not pass all proxies, because of `/`, `\\`, `;`, `%`, `?` or \
             `#` in its name"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use persisting_message_bus::backend::MAX_NAME_LENGTH;

    use super::*;

    #[test]
    fn names_that_can_be_requested_are_accepted() {
        let longest = "\u{e4}".repeat(MAX_NAME_LENGTH);
        for name in [
            "orders",
            "...",
            ".a",
            "a..",
            "a/b",
            "%2e",
            "\u{1f980}",
            &longest,
        ] {
            assert!(check(name).is_ok(), "{name:?}");
        }
    }

    #[test]
    fn other_names_are_refused() {
        let long = "x".repeat(MAX_NAME_LENGTH + 1);
        for (name, problem) in [
            ("", "is empty"),
            (".", "remove `.` and `..`"),
            ("..", "remove `.` and `..`"),
            ("a/../b", "remove `.` and `..`"),
            ("a\\..", "remove `.` and `..`"),
            ("./a", "remove `.` and `..`"),
            ("a\nb", "contains a control character"),
            ("a\0", "contains a control character"),
            ("or\u{200b}ders", "contains the invisible character"),
            (" ", "starts or ends with white space"),
            (&long, "has 256 characters"),
        ] {
            let error = check(name).err().map(|error| error.to_string());
            assert!(
                error.as_ref().is_some_and(|error| error.contains(problem)),
                "{name:?}: {error:?}"
            );
        }
    }
}
