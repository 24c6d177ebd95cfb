use persisting_message_bus::Error;
use thiserror::Error as ThisError;

/// The reason why a feed cannot be served as configured.
#[derive(Debug, ThisError)]
pub(super) enum Invalid {
    #[error("the name is empty: a request for the topic would be one for the feed itself")]
    EmptyTopic,
    #[error(
        "clients and proxies remove `.` and `..` from a path, so no request for it arrives: rename the \
         topic"
    )]
    DotTopic,
    #[error("the name {0}, so no message can be on it: rename the topic")]
    UnusableTopic(String),
    #[error("the character {0:?} is not allowed in a URI: write it as {1}")]
    Character(char, String),
    #[error("it is not a URI reference (RFC 3986): write it like https://shop.example")]
    NoReference(#[source] iri_string::validate::Error),
    #[error("it names no host: write it like https://shop.example")]
    NoHost,
    #[error("it contains a name or a password, and every client would receive it: remove it")]
    Credentials,
    #[error("it must end after the path, because the topic is appended: remove `?` or `#`")]
    AfterPath,
    #[error("it must be the path of a URL, such as /feeds, with neither a host nor `?` nor `#`")]
    NoPath,
    #[error("clients and proxies remove `.` and `..` from a path: write it without them")]
    DotPath,
    #[error("a segment begins with {0:?}, or is empty: change the path")]
    Segment(char),
}

impl Invalid {
    /// Returns the error of setting `what`.
    pub(super) fn setting(self, what: &str) -> Error {
        Error::permanent(format!("setting {what} of a feed"), self)
    }
}
