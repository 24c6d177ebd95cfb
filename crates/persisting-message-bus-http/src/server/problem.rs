use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use persisting_message_bus::Error;
use serde_json::json;
use tracing::error;

/// Why a request gets no page, as RFC 9457 has it.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    detail: String,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// A request that nobody can answer.
    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// Something that is not there.
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

    /// A caller that is not known.
    pub(super) fn unauthorized(challenge: &'static str, detail: &str) -> Self {
        Self {
            header: Some((WWW_AUTHENTICATE, HeaderValue::from_static(challenge))),
            ..Self::new(StatusCode::UNAUTHORIZED, detail)
        }
    }

    /// A caller that is known, and may not read this.
    pub(super) fn forbidden() -> Self {
        let detail = "this token may not read this topic";
        Self {
            header: Some((
                WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer error=\"insufficient_scope\""),
            )),
            ..Self::new(StatusCode::FORBIDDEN, detail)
        }
    }

    /// Something that may be over in a few seconds.
    pub(super) fn unavailable(seconds: u16, detail: &str) -> Self {
        Self {
            header: Some((RETRY_AFTER, seconds.into())),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
        }
    }

    /// The source could not be opened, or panicked. Only the log says why.
    pub(super) fn unreadable(cause: &dyn std::fmt::Display) -> Self {
        error!(error = %cause, "a feed cannot read its source");
        Self::unavailable(1, "the messages cannot be read for now: try again")
    }

    /// The source could not be read.
    pub(super) fn reading(topic: &str, error: &Error) -> Self {
        match error.position() {
            Some(position) => Self::broken(topic, position.get(), &error),
            None => Self::unreadable(&format_args!("{error:#}")),
        }
    }

    /// A message that cannot be served, and neither what comes behind it.
    pub(super) fn broken(topic: &str, position: i64, cause: &dyn std::fmt::Display) -> Self {
        error!(
            messaging.destination.name = topic,
            messaging.message.position = position,
            error = %format_args!("{cause:#}"),
            "a feed stops before a message that cannot be served"
        );
        let detail = format!(
            "what is stored at position {position} of topic {topic:?} is no message: it has to be \
             corrected where it was published"
        );
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
    }

    fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            header: None,
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
