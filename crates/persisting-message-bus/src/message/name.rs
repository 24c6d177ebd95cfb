//! Names that every backend can store and compare in the same way.

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

use crate::error::Error;

/// The maximum length of the name of a topic, message type, consumer or header, in characters.
pub const MAX_NAME_LENGTH: usize = 255;

/// Checks that every backend can store `name`.
///
/// `what` is the kind of name, for the error: "topic", "message type", "consumer", "header",
/// "channel".
pub(crate) fn validate(what: &'static str, name: &str) -> Result<(), Error> {
    match name_problem(name) {
        Some(problem) => Err(Error::invalid_name(what, name, problem)),
        None => Ok(()),
    }
}

/// Returns the reason why some backend cannot store `name` as the name of a topic, message type,
/// consumer or header; `None` if every backend can.
///
/// ```
/// use persisting_message_bus::backend::name_problem;
///
/// assert_eq!(name_problem("orders"), None);
/// assert_eq!(name_problem("").as_deref(), Some("is empty"));
/// ```
#[must_use]
pub fn name_problem(name: &str) -> Option<String> {
    if is_plain(name) {
        return None;
    }
    Some(if name.is_empty() {
        "is empty".to_owned()
    } else if let Some(length) = too_long(name) {
        format!("has {length} characters; the limit is {MAX_NAME_LENGTH}")
    } else if name.chars().any(char::is_control) {
        "contains a control character".to_owned()
    } else if let Some(invisible) = name.chars().find(|it| is_invisible(*it)) {
        let code = u32::from(invisible);
        format!("contains the invisible character U+{code:04X}")
    } else if name.trim() != name {
        "starts or ends with white space".to_owned()
    } else {
        return None;
    })
}

/// Returns `true` for most names: each dispatch checks several, so this is fast.
fn is_plain(name: &str) -> bool {
    (1..=MAX_NAME_LENGTH).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Returns `true` for a character that does not show: a control character, or one that formats text,
/// such as a zero-width space. Names that differ only in such characters look the same.
pub(crate) fn is_invisible(character: char) -> bool {
    // Looking a character up costs time, and each dispatch checks names.
    character.is_control()
        || !character.is_ascii()
            && matches!(
                character.general_category(),
                GeneralCategory::Format
                    | GeneralCategory::LineSeparator
                    | GeneralCategory::ParagraphSeparator
            )
}

fn too_long(name: &str) -> Option<usize> {
    // A name has at least as many bytes as characters, so the common case counts no characters.
    if name.len() <= MAX_NAME_LENGTH {
        return None;
    }
    Some(name.chars().count()).filter(|length| *length > MAX_NAME_LENGTH)
}
