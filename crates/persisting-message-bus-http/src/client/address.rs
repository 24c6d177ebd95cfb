use ureq::http::Uri;

use super::failure::Failure;

/// Returns the address, with no slash at its end.
pub(super) fn parse(url: &str) -> Result<String, Failure> {
    let uri: Uri = url
        .parse()
        .map_err(|_| Failure::Address("it is not a URL: write it like https://host/path"))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none_or(str::is_empty) {
        return Err(Failure::Address(
            "it must begin with https:// or http:// and a host",
        ));
    }
    // Errors and logs contain the address, so it must not contain secrets.
    if uri
        .authority()
        .is_some_and(|authority| authority.as_str().contains('@'))
    {
        return Err(Failure::Address(
            "it contains a name or a password: set a token instead",
        ));
    }
    if uri.query().is_some() || url.contains('#') {
        return Err(Failure::Address(
            "it must end after the path, with neither `?` nor `#`",
        ));
    }
    Ok(url.trim_end_matches('/').to_owned())
}
