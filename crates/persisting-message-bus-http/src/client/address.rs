use ureq::http::Uri;

use super::failure::Failure;

/// The address without a slash at its end.
pub(super) fn parse(url: &str) -> Result<String, Failure> {
    let uri: Uri = url
        .parse()
        .map_err(|_| Failure::Address("it is no URL: it has to be like https://host/path"))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none_or(str::is_empty) {
        return Err(Failure::Address(
            "it has to begin with https:// or http:// and a host",
        ));
    }
    // Addresses are part of errors and logs.
    if uri
        .authority()
        .is_some_and(|authority| authority.as_str().contains('@'))
    {
        return Err(Failure::Address(
            "it has a name or a password in it: give it a token instead",
        ));
    }
    if uri.query().is_some() || url.contains('#') {
        return Err(Failure::Address(
            "it ends behind the path, with neither `?` nor `#`",
        ));
    }
    Ok(url.trim_end_matches('/').to_owned())
}
