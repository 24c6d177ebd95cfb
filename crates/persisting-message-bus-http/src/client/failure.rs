use std::time::Duration;

use persisting_message_bus::Position;
use thiserror::Error;
use ureq::http::StatusCode;

/// The reason why a feed could not be read.
#[derive(Debug, Error)]
pub(super) enum Failure {
    #[error("{0}")]
    Address(&'static str),
    #[error("it is empty, or has characters that a header cannot have")]
    Token,
    #[error("the environment variable does not exist, or is not UTF-8")]
    NoVariable,
    #[error("there is no certificate in it: pass one or several certificates, in PEM")]
    NoRoot,
    #[error(
        "the server's certificate is not trusted, and no request was sent: if an authority of your own \
         issued it, set that authority's certificate (root_certificates)"
    )]
    Untrusted(#[source] ureq::Error),
    #[error(
        "the answer is incomplete or missing; check that the server runs, and that the address is right"
    )]
    Unreachable(#[source] ureq::Error),
    #[error("the server answered {status}{detail}")]
    Refused {
        status: StatusCode,
        detail: String,
        retry_after: Option<Duration>,
    },
    #[error("the server redirects to {0}, and redirects are not followed: set the right address")]
    Redirected(String),
    #[error(
        "the answer is longer than {0} bytes: raise the limit (max_page_bytes), or request smaller pages"
    )]
    TooLarge(u64),
    #[error("the answer {0}: check that this is the address of a feed")]
    NoFeed(String),
    #[error(
        "the page is not a list of CloudEvents as a feed sends them; none of it was delivered. Check \
         that this is the address of a feed"
    )]
    NoEvents(#[source] serde_json::Error),
    #[error("the page does not match the request: {0}; none of it was delivered. Correct the feed")]
    Untrue(String),
    #[error(
        "the feed is readable up to {high_water_mark}, but was readable up to {up_to} before: try \
         again in a moment. If the error persists, the feed's database was restored"
    )]
    Restored {
        high_water_mark: Position,
        up_to: Position,
    },
}

impl Failure {
    /// Returns `true` if the same request may succeed a little later.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable(cause) => is_of_the_network(cause),
            Self::Refused { status, .. } => {
                status.is_server_error()
                    || *status == StatusCode::TOO_MANY_REQUESTS
                    || *status == StatusCode::REQUEST_TIMEOUT
            }
            Self::Restored { .. } => true,
            _ => false,
        }
    }

    /// Returns how long the server asks clients to wait before a retry.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

fn is_of_the_network(cause: &ureq::Error) -> bool {
    matches!(
        cause,
        ureq::Error::Io(_)
            | ureq::Error::Timeout(_)
            | ureq::Error::HostNotFound
            | ureq::Error::ConnectionFailed
            | ureq::Error::Protocol(_)
    )
}

/// Returns a text of another program, shortened and on one line.
pub(super) fn shortened(text: &str) -> String {
    const SHOWN: usize = 300;
    let mut characters = text.chars();
    let mut shown: String = characters
        .by_ref()
        .take(SHOWN)
        .map(|character| {
            if character.is_control() {
                ' '
            } else {
                character
            }
        })
        .collect();
    if characters.next().is_some() {
        shown.push('…');
    }
    shown
}
