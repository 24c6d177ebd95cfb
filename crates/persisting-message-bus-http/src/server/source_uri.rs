//! The prefix of the `source` of events, which CloudEvents requires to be a URI reference.

use iri_string::types::UriReferenceStr;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::invalid::Invalid;

/// Returns the prefix without a slash at its end.
pub(super) fn prefix(source: &str) -> Result<String, Invalid> {
    if let Some(character) = source.chars().find(|it| !is_of_uri(*it)) {
        let text = character.to_string();
        let encoded = utf8_percent_encode(&text, NON_ALPHANUMERIC).to_string();
        return Err(Invalid::Character(character, encoded));
    }
    let reference = UriReferenceStr::new(source).map_err(Invalid::NoReference)?;
    if reference.query().is_some() || reference.fragment().is_some() {
        return Err(Invalid::AfterPath);
    }
    if let Some(authority) = reference.authority_components() {
        if authority.userinfo().is_some() {
            return Err(Invalid::Credentials);
        }
        if authority.host().is_empty() {
            return Err(Invalid::NoHost);
        }
    }
    Ok(source.trim_end_matches('/').to_owned())
}

/// Returns `true` for the characters that a URI can have somewhere.
fn is_of_uri(character: char) -> bool {
    character.is_ascii_alphanumeric() || "-._~:/?#[]@!$&'()*+,;=%".contains(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_accepted_without_slashes_at_their_end() {
        for (source, expected) in [
            ("https://shop.example", "https://shop.example"),
            (
                "https://shop.example:8443/a/b//",
                "https://shop.example:8443/a/b",
            ),
            ("https://[::1]/%C3%A4", "https://[::1]/%C3%A4"),
            ("urn:shop:1", "urn:shop:1"),
            ("//shop.example", "//shop.example"),
            ("/shop", "/shop"),
            ("shop", "shop"),
            ("/", ""),
            ("", ""),
        ] {
            assert_eq!(prefix(source).ok().as_deref(), Some(expected), "{source}");
        }
    }

    #[test]
    fn an_error_names_the_problem() {
        for (source, problem) in [
            (
                "https://shop.example/\u{e4}",
                "'ä' is not allowed in a URI: write it as %C3%A4",
            ),
            ("https://shop.example/a b", "write it as %20"),
            ("https://shop.example/\n", "write it as %0A"),
            ("https://shop.example/\u{7f}", "write it as %7F"),
            ("https://shop.example/\u{1f980}", "write it as %F0%9F%A6%80"),
            ("https://shop.example/{a}", "write it as %7B"),
            ("https://shop.example/\"", "write it as %22"),
            ("https://shop.example/a\\b", "write it as %5C"),
            ("https://shop.example/100%", "not a URI reference"),
            ("https://shop.example/%zz", "not a URI reference"),
            ("https://shop.example:port", "not a URI reference"),
            ("https://[::1", "not a URI reference"),
            (":shop", "not a URI reference"),
            ("1:shop", "not a URI reference"),
            ("https://shop.example/[a]", "not a URI reference"),
            ("https://shop.example?a=b", "must end after the path"),
            ("https://shop.example/#", "must end after the path"),
            ("https://", "names no host"),
            ("https:///shop", "names no host"),
            ("//", "names no host"),
            (
                "https://me:secret@shop.example",
                "contains a name or a password",
            ),
        ] {
            let error = prefix(source).err().map(|error| error.to_string());
            let error = error.unwrap_or_default();
            assert!(error.contains(problem), "{source}: {error:?}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
