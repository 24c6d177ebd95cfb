//! The header `traceparent` of the W3C's Trace Context.

use crate::message::name::MAX_NAME_LENGTH;

/// The length of version 00, and the length of the known fields of a later version.
const LENGTH: usize = 55;

/// Returns `true` for a header in the form of the W3C's Trace Context.
///
/// It has a version other than `ff`, a trace id and a parent id other than zero, and flags, all in
/// lower-case hexadecimal digits. A version after 00 can have more fields after a dash, in visible
/// ASCII characters, up to 255 characters in all.
pub(crate) fn is_valid(header: &str) -> bool {
    let Some((known, more)) = header.as_bytes().split_at_checked(LENGTH) else {
        return false;
    };
    let fields = [&known[..2], &known[3..35], &known[36..52], &known[53..]];
    let [version, trace, parent, _] = fields;
    let has_dashes = [2, 35, 52].iter().all(|at| known[*at] == b'-');
    let is_more = more.first() == Some(&b'-')
        && more.iter().all(u8::is_ascii_graphic)
        && header.len() <= MAX_NAME_LENGTH;
    has_dashes
        && fields.iter().all(|field| field.iter().all(is_digit))
        && version != b"ff"
        && is_not_zero(trace)
        && is_not_zero(parent)
        && (more.is_empty() || (version != b"00" && is_more))
}

fn is_digit(byte: &u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

fn is_not_zero(id: &[u8]) -> bool {
    id.iter().any(|digit| *digit != b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn valid_headers_are_accepted() {
        assert!(is_valid(VALID));
        assert!(is_valid(&VALID.replace("-01", "-ff")));
        let later = VALID.replacen("00", "cc", 1);
        for more in ["", "-", "-what-the-future-brings"] {
            assert!(is_valid(&format!("{later}{more}")), "{more:?}");
        }
    }

    #[test]
    fn every_changed_character_that_breaks_the_form_is_noticed() {
        for at in 0..VALID.len() {
            for other in ["-", "g", "A", " ", "\0", "\u{e9}"] {
                let changed = format!("{}{other}{}", &VALID[..at], &VALID[at + 1..]);
                assert!(changed == VALID || !is_valid(&changed), "{changed:?}");
            }
        }
    }

    #[test]
    fn other_headers_are_refused() {
        let later = VALID.replacen("00", "01", 1);
        for header in [
            String::new(),
            VALID[..54].to_owned(),
            format!("{VALID}-"),
            format!("{VALID}0"),
            format!("{VALID} "),
            format!("{later}0"),
            format!("{later}-a b"),
            format!("{later}-\0"),
            format!("{later}-{}", "x".repeat(200)),
            VALID.replacen("00", "ff", 1),
            VALID.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            VALID.replace("b7ad6b7169203331", &"0".repeat(16)),
            VALID.to_uppercase(),
        ] {
            assert!(!is_valid(&header), "{header:?}");
        }
    }
}
