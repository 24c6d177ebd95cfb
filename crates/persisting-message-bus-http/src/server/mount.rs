//! A feed under a path of an application.

use axum::Router;
use iri_string::types::UriReferenceStr;

use super::invalid::Invalid;

/// Returns a router that serves a feed under a path. The index is at the path with and without a
/// slash at its end. axum's `nest` would serve it at the path without the slash only, and proxies
/// can add the slash.
pub(super) fn at(path: &str, feed: Router) -> Result<Router, Invalid> {
    check(path)?;
    let path = path.trim_matches('/');
    if path.is_empty() {
        return Ok(feed);
    }
    Ok(Router::new().nest_service(&format!("/{path}"), feed))
}

/// Checks everything for which axum would panic, or which no request would match.
fn check(path: &str) -> Result<(), Invalid> {
    let reference = UriReferenceStr::new(path).map_err(Invalid::NoReference)?;
    if reference.path_str() != path || reference.scheme_str().is_some() {
        return Err(Invalid::NoPath);
    }
    let inner = path.trim_matches('/');
    for segment in inner.split('/').filter(|_| !inner.is_empty()) {
        match segment.chars().next() {
            _ if segment == "." || segment == ".." => return Err(Invalid::DotPath),
            None => return Err(Invalid::Segment('/')),
            // Earlier versions of axum gave these a meaning, so it refuses them.
            Some(first @ (':' | '*')) => return Err(Invalid::Segment(first)),
            Some(_) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_accepted_with_and_without_slashes() {
        for path in ["", "/", "/feeds", "feeds/", "/a/b/", "/%C3%A4", "/a:b/x*"] {
            let problem = at(path, Router::new()).err();
            assert!(problem.is_none(), "{path}: {problem:?}");
        }
    }

    #[test]
    fn other_paths_are_refused_and_do_not_panic() {
        for path in [
            "https://shop.example/feeds",
            "//shop.example/feeds",
            "/feeds?a",
            "/feeds#a",
            "/feeds/..",
            "/./feeds",
            "/a//b",
            "/:topic",
            "/a/*rest",
            "/{topic}",
            "/{*rest}",
            "/a b",
            "/\u{e4}",
            "/100%",
            "a:b",
        ] {
            assert!(at(path, Router::new()).is_err(), "{path}");
        }
    }
}
