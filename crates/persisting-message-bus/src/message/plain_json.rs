//! JSON that can be an attribute of a CloudEvent.

use std::fmt::Write;

/// Escapes control characters and the noncharacters of Unicode, which JSON permits in texts and
/// CloudEvents does not permit in attributes. A feed then sends headers as they are stored.
pub(crate) fn plain(json: String) -> String {
    // Most headers are ASCII, where DEL is the only such character that JSON permits. To look at all
    // bytes is faster than to stop at the first other one.
    let is_other = |byte: u8| byte >= 0x7f;
    let has_others = json.bytes().fold(false, |any, byte| any | is_other(byte));
    if !has_others || json.chars().all(is_plain) {
        return json;
    }
    let mut plain = String::with_capacity(json.len() + 8);
    for character in json.chars() {
        if is_plain(character) {
            plain.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            // Writing to a text cannot fail.
            let _written = write!(plain, "\\u{unit:04x}");
        }
    }
    plain
}

fn is_plain(character: char) -> bool {
    !character.is_control() && !is_noncharacter(character)
}

/// Returns `true` for the 66 noncharacters of Unicode.
pub(crate) fn is_noncharacter(character: char) -> bool {
    let code = u32::from(character);
    (0xfdd0..=0xfdef).contains(&code) || code & 0xfffe == 0xfffe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_keeps_its_value_and_has_no_control_characters() {
        for (json, expected) in [
            ("{\"a b\":\"\\n\"}", "{\"a b\":\"\\n\"}"),
            ("[\"\u{7f}\"]", r#"["\u007f"]"#),
            (
                "[\"\u{e4}\u{85}\u{1f980}\"]",
                "[\"\u{e4}\\u0085\u{1f980}\"]",
            ),
            (
                "[\"\u{fdd0}\u{fffe}\u{1ffff}\"]",
                r#"["\ufdd0\ufffe\ud83f\udfff"]"#,
            ),
        ] {
            assert_eq!(plain(json.to_owned()), expected);
            let [before, after] = [json, expected].map(serde_json::from_str::<Vec<String>>);
            assert_eq!(before.ok(), after.ok());
        }
    }
}
