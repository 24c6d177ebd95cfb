//! JSON as the value of an attribute of a CloudEvent.

use std::borrow::Cow;
use std::fmt::Write;

/// Returns JSON without white space between its tokens, and with `\u` in place of the characters that
/// an attribute cannot have. The value of the JSON is the same.
///
/// In a text that is not JSON, control characters outside of quotes are removed.
pub(super) fn compact(json: &str) -> Cow<'_, str> {
    let mut scanner = Scanner::default();
    // The library's own headers have neither white space nor other characters than these.
    let is_plain = json.bytes().all(|byte| byte.is_ascii_graphic());
    if is_plain || json.chars().all(|it| scanner.next(it) == Form::Same) {
        return Cow::Borrowed(json);
    }
    let mut compact = String::with_capacity(json.len());
    let mut scanner = Scanner::default();
    for character in json.chars() {
        match scanner.next(character) {
            Form::Same => compact.push(character),
            Form::Escaped => escape(&mut compact, character),
            Form::None => {}
        }
    }
    Cow::Owned(compact)
}

/// The form that a character of JSON gets.
#[derive(PartialEq)]
enum Form {
    Same,
    Escaped,
    None,
}

/// The place in a text of JSON.
#[derive(Default)]
struct Scanner {
    is_quoted: bool,
    /// Whether the character before was a backslash that escapes the next one.
    escapes: bool,
}

impl Scanner {
    fn next(&mut self, character: char) -> Form {
        let is_white = character == ' ' || character.is_ascii_control();
        let form = if is_white && !self.is_quoted {
            Form::None
        } else if is_of_attribute(character) {
            Form::Same
        } else {
            Form::Escaped
        };
        self.is_quoted ^= character == '"' && !self.escapes;
        self.escapes = self.is_quoted && character == '\\' && !self.escapes;
        form
    }
}

/// Returns `true` for the characters of a String of CloudEvents 1.0.2: neither control characters
/// nor noncharacters of Unicode.
pub(super) fn is_of_attribute(character: char) -> bool {
    let code = u32::from(character);
    let is_noncharacter = (0xfdd0..=0xfdef).contains(&code) || code & 0xfffe == 0xfffe;
    !character.is_control() && !is_noncharacter
}

/// Appends a character in the escaped form of JSON.
fn escape(json: &mut String, character: char) {
    for unit in character.encode_utf16(&mut [0; 2]) {
        // Writing to a text cannot fail.
        let _written = write!(json, "\\u{unit:04x}");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn json_keeps_its_value() {
        for (json, expected) in [
            ("{}", "{}"),
            ("{\n}", "{}"),
            (
                "{ \"a b\" :\t[ 1 , 2.50,\r\nnull ] }",
                "{\"a b\":[1,2.50,null]}",
            ),
            (r#"{"\\" : "\" \\\" "}"#, r#"{"\\":"\" \\\" "}"#),
            ("{\"\u{85}\":\"\u{7f}\"}", r#"{"\u0085":"\u007f"}"#),
            (
                "[\"\u{fffe}\u{1ffff}\u{fdd0}\"]",
                r#"["\ufffe\ud83f\udfff\ufdd0"]"#,
            ),
            ("[\"\u{1f980} \u{e4}\"]", "[\"\u{1f980} \u{e4}\"]"),
        ] {
            let compacted = compact(json);
            assert_eq!(compacted, expected);
            let [before, after] = [json, &compacted].map(serde_json::from_str::<Value>);
            assert_eq!(before.ok(), after.ok(), "{json}");
            assert!(compacted.chars().all(is_of_attribute));
        }
    }

    #[test]
    fn text_that_is_not_json_has_no_control_characters_either() {
        for text in ["a\nb", "\"a\nb", "\u{85}", "\"\\\n\"\n", "\0"] {
            assert!(compact(text).chars().all(is_of_attribute), "{text:?}");
        }
    }
}
