use std::fmt;
use std::thread;
use std::time::Duration;

use persisting_message_bus::Backoff;
use serde::Deserialize;
use tracing::warn;
use ureq::http::header::{ACCEPT, AUTHORIZATION, LOCATION, RETRY_AFTER};
use ureq::http::{HeaderMap, HeaderValue, Response};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body};

use super::failure::{Failure, shortened};
use crate::wire::BATCH;

/// The server of a feed.
pub(super) struct Server {
    agent: Agent,
    /// The trusted root certificates. If there are any, they replace the public ones.
    roots: Vec<Certificate<'static>>,
    url: String,
    authorization: Option<HeaderValue>,
    pub(super) backoff: Backoff,
    pub(super) max_attempts: u32,
    pub(super) timeout: Duration,
    pub(super) max_page_bytes: u64,
}

/// The answer to a request that the server grants.
pub(super) struct Answer {
    pub(super) headers: HeaderMap,
    pub(super) text: Vec<u8>,
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The maximum timeout, because the clock has an end.
const MAX_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);
/// The maximum number of bytes that are read of a problem.
const MAX_PROBLEM: u64 = 64 * 1024;

impl Server {
    pub(super) fn new(url: String) -> Self {
        Self {
            agent: agent(TlsConfig::default()),
            roots: Vec::new(),
            url,
            authorization: None,
            max_attempts: 3,
            backoff: Backoff::default()
                .initial_delay(Duration::from_millis(200))
                .max_delay(Duration::from_secs(2)),
            timeout: Duration::from_secs(60),
            max_page_bytes: 64 * 1024 * 1024,
        }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn has_token(&self) -> bool {
        self.authorization.is_some()
    }

    pub(super) fn set_token(&mut self, token: &str) -> Result<(), Failure> {
        let token = token.trim_ascii();
        if token.is_empty() {
            return Err(Failure::Token);
        }
        let mut value =
            HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| Failure::Token)?;
        value.set_sensitive(true);
        self.authorization = Some(value);
        Ok(())
    }

    pub(super) fn add_roots(&mut self, pem: &[u8]) -> Result<(), Failure> {
        let before = self.roots.len();
        for item in parse_pem(pem) {
            if let PemItem::Certificate(root) = item.map_err(|_| Failure::NoRoot)? {
                self.roots.push(root);
            }
        }
        if self.roots.len() == before {
            return Err(Failure::NoRoot);
        }
        let roots = RootCerts::new_with_certs(&self.roots);
        self.agent = agent(TlsConfig::builder().root_certs(roots).build());
        Ok(())
    }

    /// Sends a request for a path below the feed's address. Retries it until `understand` accepts
    /// the answer, the failure is not transient, or the attempts are used up.
    pub(super) fn ask<T>(
        &self,
        path: &str,
        understand: impl Fn(Answer) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let url = format!("{}{path}", self.url);
        let mut failures = 0;
        loop {
            let failure = match self.ask_once(&url).and_then(&understand) {
                Ok(understood) => return Ok(understood),
                Err(failure) => failure,
            };
            failures += 1;
            if !failure.is_transient() || failures >= self.max_attempts {
                return Err(failure);
            }
            warn!(url, failures, error = %failure, "request to a feed failed, retrying");
            let asked_for = failure
                .retry_after()
                .unwrap_or_default()
                .min(self.backoff.max_delay);
            thread::sleep(self.backoff.delay_after(failures).max(asked_for));
        }
    }

    fn ask_once(&self, url: &str) -> Result<Answer, Failure> {
        let request = self.agent.get(url).header(ACCEPT, BATCH);
        let request = match &self.authorization {
            Some(authorization) => request.header(AUTHORIZATION, authorization.clone()),
            None => request,
        };
        let request = request
            .config()
            .timeout_global(Some(self.timeout.min(MAX_TIMEOUT)))
            .build();
        let mut response = request.call().map_err(unanswered)?;
        if response.status() != 200 {
            return Err(refused(&mut response));
        }
        let text = read(&mut response, self.max_page_bytes)?;
        Ok(Answer {
            headers: std::mem::take(response.headers_mut()),
            text,
        })
    }
}

fn agent(tls: TlsConfig) -> Agent {
    let version = env!("CARGO_PKG_VERSION");
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .user_agent(format!("persisting-message-bus/{version}"))
        .tls_config(tls);
    config.build().new_agent()
}

fn unanswered(cause: ureq::Error) -> Failure {
    let is_tls = |error: &rustls::Error| matches!(error, rustls::Error::InvalidCertificate(_));
    let is_untrusted = match &cause {
        ureq::Error::Rustls(error) => is_tls(error),
        ureq::Error::Io(error) => {
            let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
            inner.is_some_and(is_tls)
        }
        _ => false,
    };
    if is_untrusted {
        Failure::Untrusted(cause)
    } else {
        Failure::Unreachable(cause)
    }
}

fn read(response: &mut Response<Body>, limit: u64) -> Result<Vec<u8>, Failure> {
    let body = response.body_mut().with_config().limit(limit);
    body.read_to_vec().map_err(|cause| match cause {
        ureq::Error::BodyExceedsLimit(limit) => Failure::TooLarge(limit),
        cause => Failure::Unreachable(cause),
    })
}

fn refused(response: &mut Response<Body>) -> Failure {
    #[derive(Deserialize)]
    struct Problem {
        detail: String,
    }
    if response.status().is_redirection() {
        let location = response.headers().get(LOCATION);
        let location = location.map(|location| String::from_utf8_lossy(location.as_bytes()));
        return Failure::Redirected(shortened(&location.unwrap_or("nowhere".into())));
    }
    let retry_after = response.headers().get(RETRY_AFTER);
    let seconds = retry_after.and_then(|seconds| seconds.to_str().ok()?.parse().ok());
    let problem = read(response, MAX_PROBLEM).unwrap_or_default();
    let problem: Option<Problem> = serde_json::from_slice(&problem).ok();
    Failure::Refused {
        status: response.status(),
        detail: problem.map_or(String::new(), |problem| {
            format!(": {}", shortened(&problem.detail))
        }),
        retry_after: seconds.map(Duration::from_secs),
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Server").field(&self.url).finish()
    }
}
