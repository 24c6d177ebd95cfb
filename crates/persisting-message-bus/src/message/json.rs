//! Checks JSON, without building it.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The maximum nesting of arrays and objects. serde_json reads no more.
pub(crate) const MAX_DEPTH: usize = 127;

/// Checks that a text is JSON, of any nesting. Numbers and escaped characters can be any that
/// JSON's grammar allows: every backend keeps the text as it is.
pub(crate) fn check(json: &str) -> Result<(), serde_json::Error> {
    serde_json::from_str(json).map(|_: IgnoredAny| ())
}

/// Checks that a text is a JSON object that can be read, with all its texts and numbers.
pub(crate) fn check_readable_object(json: &str) -> Result<(), serde_json::Error> {
    serde_json::from_str(json).map(|_: Object| ())
}

/// Returns `true` if valid JSON nests deeper than [`MAX_DEPTH`].
pub(crate) fn is_too_deep(json: &str) -> bool {
    let bytes = json.as_bytes();
    // Each level takes two brackets. Counting all brackets is faster than following them.
    if bytes.len() <= 2 * MAX_DEPTH {
        return false;
    }
    let opening = bytes.iter().filter(|byte| is_opening(**byte)).count();
    opening > MAX_DEPTH && depth(bytes) > MAX_DEPTH
}

/// The two opening brackets differ in one bit.
fn is_opening(byte: u8) -> bool {
    byte | 0x20 == b'{'
}

fn depth(json: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut bytes = json.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => skip_text(&mut bytes),
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

fn skip_text<'a>(bytes: &mut impl Iterator<Item = &'a u8>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return,
            b'\\' => {
                bytes.next();
            }
            _ => {}
        }
    }
}

struct Object;

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Reading)?;
        Ok(Self)
    }
}

struct Readable;

impl<'de> Deserialize<'de> for Readable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reading)?;
        Ok(Self)
    }
}

/// Reads every value and drops it.
struct Reading;

impl<'de> Visitor<'de> for Reading {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON object")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element::<Readable>()?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        while entries.next_entry::<Readable, Readable>()?.is_some() {}
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn nested(open: &str, inner: &str, close: &str, depth: usize) -> String {
        format!("{}{inner}{}", open.repeat(depth), close.repeat(depth))
    }

    #[test]
    fn the_maximum_depth_is_that_of_serde_json() {
        let brackets = "[".repeat(300);
        for (open, inner, close) in [
            ("[", "", "]"),
            ("{\"a\":", "1", "}"),
            ("[0,{},[],", "\"]]\"", "]"),
            ("[\"\\\\\",", "\"\\\"]]]\"", "]"),
        ] {
            for depth in [1, MAX_DEPTH, MAX_DEPTH + 1, 200] {
                let json = nested(open, inner, close, depth);
                let is_read = serde_json::from_str::<Value>(&json).is_ok();
                assert_eq!(is_too_deep(&json), !is_read, "{depth}: {json}");
            }
        }
        assert!(!is_too_deep(&format!("[\"{brackets}\"]")));
        assert!(!is_too_deep(&format!("[{}0]", "[],".repeat(300))));
        assert!(is_too_deep(&"[".repeat(1_000_000)));
    }

    #[test]
    fn deep_json_is_checked_without_recursion() {
        assert!(check(&nested("[", "", "]", 1_000_000)).is_ok());
        let object = format!("{{\"a\":{}}}", nested("[", "", "]", 1_000_000));
        assert!(check_readable_object(&object).is_err());
    }

    #[test]
    fn an_object_is_readable_if_and_only_if_serde_json_reads_it() {
        for json in [
            "{}",
            r#"{"a":[1,-1,1.5,true,null,"\u0000\ud83e\udd80",{"b":{}}]}"#,
            r#"{"a":18446744073709551616}"#,
            r#"{"a":1e400}"#,
            r#"{"a":"\ud800"}"#,
            r#"{"\ud800":1}"#,
            r#"{"a":1,"a":2}"#,
            r#"{"a":1"#,
            "[]",
            "null",
            "\"{}\"",
            "",
            "{} {}",
        ] {
            let is_read = serde_json::from_str::<serde_json::Map<String, Value>>(json).is_ok();
            assert_eq!(check_readable_object(json).is_ok(), is_read, "{json}");
        }
    }
}
