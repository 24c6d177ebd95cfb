//! Conditional requests (RFC 9110, 13.1.2).

use axum::http::HeaderMap;
use axum::http::header::IF_NONE_MATCH;

/// Returns `true` if `If-None-Match` names the current answer, by `*` or by its tag.
pub(super) fn is_known(request: &HeaderMap, tag: Option<&str>) -> bool {
    let lists = request.get_all(IF_NONE_MATCH).into_iter();
    let mut lists = lists.filter_map(|value| value.to_str().ok());
    lists.any(|list| {
        let own = tag.and_then(|tag| Tags(tag).next());
        list.trim() == "*" || (own.is_some() && Tags(list).any(|known| Some(known) == own))
    })
}

/// The opaque tags of a list, without their quotes. The comparison is weak, so the prefix `W/` does
/// not count. A tag can contain a comma.
struct Tags<'a>(&'a str);

impl<'a> Iterator for Tags<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let tag = self.0.trim_start_matches([' ', '\t', ',']);
        let tag = tag.strip_prefix("W/").unwrap_or(tag);
        let (tag, rest) = tag.strip_prefix('"')?.split_once('"')?;
        self.0 = rest;
        Some(tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn is_known_by(known: &'static str, tag: Option<&str>) -> bool {
        let headers = HeaderMap::from_iter([(IF_NONE_MATCH, HeaderValue::from_static(known))]);
        is_known(&headers, tag)
    }

    #[test]
    fn tags_are_compared_weakly_in_lists() {
        for known in [
            "*",
            " * ",
            "\"a,b\"",
            "W/\"a,b\"",
            "\"x\", W/\"a,b\"",
            "\"x\",,\"a,b\" , \"y\"",
        ] {
            assert!(is_known_by(known, Some("W/\"a,b\"")), "{known}");
        }
        for known in [
            "",
            "\"a\"",
            "a,b",
            "w/\"a,b\"",
            "\"x",
            "\"A,B\"",
            "\"*\"",
            "\"x\"; \"a,b\"",
        ] {
            assert!(!is_known_by(known, Some("W/\"a,b\"")), "{known}");
        }
    }

    #[test]
    fn an_answer_without_a_tag_is_named_by_the_asterisk_only() {
        assert!(is_known_by("*", None));
        assert!(!is_known_by("\"a\"", None));
        assert!(!is_known(&HeaderMap::new(), None));
    }
}
