use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;

use super::accept::wants_events;
use super::connection::paced;
use super::deadline::in_time;
use super::etag;
use super::page::{Form, Wanted};
use super::problem::Problem;
use super::query::{Query, Start};
use super::{Served, retry, stream};

pub(super) fn router(served: Arc<Served>) -> Router {
    let wrong_method = || async { Problem::method_not_allowed() };
    let unknown =
        || async { Problem::not_found("this address does not exist: topics are at /{topic}") };
    let longest = served.limits.transfer_timeout;
    let routes = Router::new()
        .route("/", get(index).fallback(wrong_method))
        .route("/{topic}", get(feed).fallback(wrong_method))
        .fallback(unknown);
    // Stronger compression takes more time than it saves on the network.
    #[cfg(feature = "compression")]
    let routes = routes.layer(
        tower_http::compression::CompressionLayer::new()
            .quality(tower_http::CompressionLevel::Fastest),
    );
    routes
        .layer(map_response(move |answer| paced(answer, longest)))
        .with_state(served)
}

/// Returns the topics that the caller can read, and the last position.
async fn index(State(served): State<Arc<Served>>, headers: HeaderMap) -> Result<Response, Problem> {
    let permission = served.access.of_caller(&headers)?;
    let is_known = etag::is_known(&headers, None);
    let last = served
        .reader
        .read(|source| {
            let last = source.last_position();
            last.map_err(|error| Problem::failed(&error))
        })
        .await?;
    let topics = served.topics.keys();
    let topics: Vec<_> = topics.filter(|name| permission.includes(name)).collect();
    let headers = [
        (CONTENT_TYPE, "application/json"),
        (CACHE_CONTROL, "no-store"),
    ];
    if is_known {
        return Ok((StatusCode::NOT_MODIFIED, [(CACHE_CONTROL, "no-store")]).into_response());
    }
    let body = json!({ "last": last, "topics": topics });
    Ok((headers, body.to_string()).into_response())
}

async fn feed(
    State(served): State<Arc<Served>>,
    path: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let permission = served.access.of_caller(&headers)?;
    let Path(name) = path.map_err(|_| {
        Problem::bad_request("the topic in the path must be UTF-8, percent-encoded")
    })?;
    if !permission.includes(&name) {
        return Err(Problem::forbidden());
    }
    let topic = served.topics.get(&name).ok_or_else(|| {
        Problem::not_found("this topic does not exist here: GET / returns the topics that exist")
    })?;
    let mut query = Query::parse(query.as_deref().unwrap_or_default())?;
    let is_stream = wants_events(&headers);
    if is_stream {
        query.resume(&headers)?;
    }
    let limits = &served.limits;
    let limit = query.limit.unwrap_or(limits.page_size);
    let timeout = query.timeout.min(limits.max_wait);
    let wanted = Wanted {
        topic: Arc::clone(topic),
        start: query.start.unwrap_or(Start::Beginning),
        limit: limit.min(limits.max_page_size),
        bytes: limits.max_page_bytes,
        types: query.types,
        form: if is_stream { Form::Stream } else { Form::Batch },
        with_last: query.with_last && !is_stream,
    };
    if is_stream {
        let events = stream::events(Arc::clone(&served), wanted).await;
        return events.or_else(|problem| {
            if problem.can_pass() {
                Ok(retry::later(&problem, served.limits.reconnect_delay))
            } else {
                Err(problem)
            }
        });
    }
    let deadline = (!timeout.is_zero()).then(|| in_time(timeout));
    served.page(wanted, deadline, &headers).await
}
