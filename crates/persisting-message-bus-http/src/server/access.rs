use std::fmt;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use subtle::{Choice, ConstantTimeEq};

use super::problem::Problem;

/// The permissions of callers. Initially, no caller can read anything.
#[derive(Debug, Default)]
pub(super) struct Access {
    is_public: bool,
    tokens: Vec<Token>,
}

struct Token {
    secret: String,
    /// The topics of the token; `None` means all topics.
    topics: Option<Vec<String>>,
}

/// The topics that a caller can read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Permission<'a>(Option<&'a [String]>);

impl Access {
    pub(super) fn open_to_all(&mut self) {
        self.is_public = true;
    }

    pub(super) fn is_public(&self) -> bool {
        self.is_public
    }

    /// Adds a token. If the token exists already, it gets these topics in addition.
    pub(super) fn add(&mut self, secret: &str, topics: Option<Vec<String>>) {
        let secret = secret.trim_ascii();
        let known = self.tokens.iter_mut().find(|token| token.secret == secret);
        let Some(known) = known else {
            let secret = secret.to_owned();
            return self.tokens.push(Token { secret, topics });
        };
        match (&mut known.topics, topics) {
            (Some(known), Some(more)) => known.extend(more),
            (all, _) => *all = None,
        }
    }

    /// Returns the permission of the sender of these headers.
    pub(super) fn of_caller(&self, headers: &HeaderMap) -> Result<Permission<'_>, Problem> {
        if self.is_public {
            return Ok(Permission(None));
        }
        let Some(credentials) = headers.get(AUTHORIZATION) else {
            let detail = "this feed requires a token: send `Authorization: Bearer` and the token";
            return Err(Problem::unauthorized("Bearer", detail));
        };
        let token = bearer(credentials.as_bytes()).and_then(|secret| self.token(secret));
        let unknown = || {
            let detail = "this token is not known here: ask the operator of the feed for one";
            Problem::unauthorized("Bearer error=\"invalid_token\"", detail)
        };
        let token = token.ok_or_else(unknown)?;
        Ok(Permission(token.topics.as_deref()))
    }

    /// Compares all tokens, so that the time reveals neither which token matches nor how much of it
    /// is right.
    fn token(&self, secret: &[u8]) -> Option<&Token> {
        let mut found = None;
        for token in &self.tokens {
            let is_set = Choice::from(u8::from(!token.secret.is_empty()));
            if bool::from(is_set & token.secret.as_bytes().ct_eq(secret)) {
                found = Some(token);
            }
        }
        found
    }
}

/// Returns the token of `Bearer <token>`.
fn bearer(credentials: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = credentials.split_at_checked("Bearer ".len())?;
    scheme
        .eq_ignore_ascii_case(b"Bearer ")
        .then(|| token.trim_ascii())
}

impl Permission<'_> {
    pub(super) fn includes(self, topic: &str) -> bool {
        self.0
            .is_none_or(|topics| topics.iter().any(|permitted| permitted == topic))
    }
}

/// The output does not contain the secret.
impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Token")
            .field("topics", &self.topics)
            .finish_non_exhaustive()
    }
}
