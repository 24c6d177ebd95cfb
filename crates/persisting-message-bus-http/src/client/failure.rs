use std::time::Duration;

use persisting_message_bus::Position;
use thiserror::Error;
use ureq::http::StatusCode;

/// Why a feed could not be read.
#[derive(Debug, Error)]
pub(super) enum Failure {
    #[error("{0}")]
    Address(&'static str),
    #[error("it is empty, or has characters that a header cannot have")]
    Token,
    #[error("there is no such environment variable, or it is not UTF-8")]
    NoVariable,
    #[error("there is no certificate in it: it has to be one or several of them, in PEM")]
    NoRoot,
    #[error(
        "the server's certificate is not trusted, and it was asked for nothing: if an authority of your \
         own has issued it, set its certificate (root_certificates)"
    )]
    Untrusted(#[source] ureq::Error),
    #[error("no whole answer came; is the server running, and the address right?")]
    Unreachable(#[source] ureq::Error),
    #[error("the server answered {status}{detail}")]
    Refused {
        status: StatusCode,
        detail: String,
        retry_after: Option<Duration>,
    },
    #[error(
        "the server sends to {0} instead, which is not followed: set the address that is right"
    )]
    Redirected(String),
    #[error(
        "the answer is longer than {0} bytes: let it be longer (largest_page), or ask for less"
    )]
    TooLarge(u64),
    #[error("the answer {0}: is this the address of a feed?")]
    NoFeed(String),
    #[error(
        "the page is no list of CloudEvents as a feed has them; nothing of it was handed on. Is this \
         the address of a feed?"
    )]
    NoEvents(#[source] serde_json::Error),
    #[error(
        "the page is not what was asked for: {0}; nothing of it was handed on. Correct the feed"
    )]
    Untrue(String),
    #[error(
        "the feed can be read up to {horizon} for now, and was readable up to {up_to} before: try again \
         in a moment. If it stays so, its database was restored"
    )]
    Behind { horizon: Position, up_to: Position },
}

impl Failure {
    /// Whether the same request may succeed a little later.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable(cause) => is_of_the_network(cause),
            Self::Refused { status, .. } => {
                status.is_server_error()
                    || *status == StatusCode::TOO_MANY_REQUESTS
                    || *status == StatusCode::REQUEST_TIMEOUT
            }
            Self::Behind { .. } => true,
            _ => false,
        }
    }

    /// How long the server wants nobody to ask again.
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

/// A text of somebody else, on a line.
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
