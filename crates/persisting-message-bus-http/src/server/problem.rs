use std::time::Duration;

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use persisting_message_bus::Error;
use serde_json::json;
use tracing::error;

/// How long a subscriber waits before it looks whether a broken row was corrected.
const UNTIL_CORRECTED: Duration = Duration::from_secs(30);

/// The reason why a request gets no page, in the form of RFC 9457.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    detail: String,
    header: Option<(HeaderName, HeaderValue)>,
    retry_after: Option<Duration>,
    may_be_of_connection: bool,
}

impl Problem {
    /// Returns whether another connection to the source may not have this problem.
    pub(super) fn may_be_of_connection(&self) -> bool {
        self.may_be_of_connection
    }

    /// Returns whether the same request can succeed later, because the problem is of the server.
    pub(super) fn can_pass(&self) -> bool {
        self.status.is_server_error()
    }

    /// Returns how long the client must wait before it sends the request again.
    pub(super) fn retry_after(&self) -> Duration {
        self.retry_after.unwrap_or_default()
    }

    pub(super) fn detail(&self) -> &str {
        &self.detail
    }

    /// Reports an invalid request.
    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// Reports that the requested resource does not exist.
    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    pub(super) fn method_not_allowed() -> Self {
        Self {
            header: Some((
                axum::http::header::ALLOW,
                HeaderValue::from_static("GET, HEAD"),
            )),
            ..Self::new(StatusCode::METHOD_NOT_ALLOWED, "a feed is read with GET")
        }
    }

    /// Reports an unknown caller.
    pub(super) fn unauthorized(challenge: &'static str, detail: &str) -> Self {
        Self {
            header: Some((WWW_AUTHENTICATE, HeaderValue::from_static(challenge))),
            ..Self::new(StatusCode::UNAUTHORIZED, detail)
        }
    }

    /// Reports a known caller that cannot read this topic.
    pub(super) fn forbidden() -> Self {
        let detail = "this token cannot read this topic";
        Self {
            header: Some((
                WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer error=\"insufficient_scope\""),
            )),
            ..Self::new(StatusCode::FORBIDDEN, detail)
        }
    }

    /// Reports a problem that may be over in a few seconds.
    pub(super) fn unavailable(seconds: u16, detail: &str) -> Self {
        Self {
            header: Some((RETRY_AFTER, seconds.into())),
            retry_after: Some(Duration::from_secs(seconds.into())),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
        }
    }

    /// Reports that the source could not be opened, or panicked. Only the log contains the reason.
    pub(super) fn unreadable(cause: &dyn std::fmt::Display) -> Self {
        error!(error = %cause, "feed could not read its source");
        Self::unavailable(1, "the messages cannot be read at the moment: try again")
    }

    /// Reports that the source could not be read.
    pub(super) fn reading(topic: &str, error: &Error) -> Self {
        match error.position() {
            Some(position) => Self::broken(topic, position.get(), &error),
            None => Self::failed(error),
        }
    }

    /// Reports an error of the source that is not of a message.
    pub(super) fn failed(error: &Error) -> Self {
        Self {
            may_be_of_connection: error.may_be_of_connection(),
            ..Self::unreadable(&format_args!("{error:#}"))
        }
    }

    /// Reports a message that cannot be served. Later messages cannot be served either.
    pub(super) fn broken(topic: &str, position: i64, cause: &dyn std::fmt::Display) -> Self {
        error!(
            messaging.destination.name = topic,
            messaging.message.position = position,
            error = %format_args!("{cause:#}"),
            "feed stopped before a message that cannot be served"
        );
        let detail = format!(
            "the row at position {position} of topic {topic:?} is not a message: correct it where it \
             was published"
        );
        Self {
            retry_after: Some(UNTIL_CORRECTED),
            ..Self::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
        }
    }

    fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            header: None,
            retry_after: None,
            may_be_of_connection: false,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = json!({
            "title": self.status.canonical_reason(),
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        let mut headers = HeaderMap::new();
        let json = HeaderValue::from_static("application/problem+json");
        headers.insert(CONTENT_TYPE, json);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.extend(self.header);
        (self.status, headers, body.to_string()).into_response()
    }
}
