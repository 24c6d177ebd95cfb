use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, VARY};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::future::{Either, select};
use persisting_message_bus::Position;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use uuid::Uuid;

use super::page::{Page, Wanted};
use super::problem::Problem;
use super::query::Start;
use super::topic::{Seen, Topic};
use super::{Served, etag};
use crate::wire::{BATCH, header};

impl Served {
    /// Reads a page up to the given head; if there is none, reads the head first.
    pub(super) async fn read(&self, wanted: Wanted, seen: Option<Seen>) -> Result<Page, Problem> {
        let read = move |source: &mut dyn persisting_message_bus::backend::MessageSource| {
            wanted.read(source, seen)
        };
        self.reader.read(read).await
    }

    /// Takes a waiting slot.
    pub(super) fn wait(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let place = Arc::clone(&self.waiters).try_acquire_owned();
        place.map_err(|_| {
            let detail = "too many clients wait already: try again, or send no timeout";
            Problem::unavailable(5, detail)
        })
    }

    /// Waits until there is a message after a position; returns `None` if the deadline passes first
    /// or the feed is closed.
    pub(super) async fn something_after(
        &self,
        topic: &Arc<Topic>,
        position: Position,
        deadline: Instant,
    ) -> Option<Seen> {
        let seen = pin!(topic.something_after(position, &self.reader, deadline));
        let closed = pin!(self.closing.closed());
        match select(closed, seen).await {
            Either::Left(_) => None,
            Either::Right((seen, _)) => seen,
        }
    }

    /// Reads pages until there is an event, or the end of the topic. An empty page means to a client
    /// that it has reached the end, unless it reads the header of the next position. Such a client
    /// names a position, and gets an answer after `PATIENCE`.
    async fn first_events(&self, wanted: &mut Wanted, seen: Option<Seen>) -> Result<Page, Problem> {
        const PATIENCE: Duration = Duration::from_secs(1);
        let (begun, reads_headers) = (Instant::now(), matches!(wanted.start, Start::Position(_)));
        let mut page = self.read(wanted.clone(), seen).await?;
        let after_id = page.after_id;
        while wanted.limit > 0
            && page.ends_on_the_way()
            && !(reads_headers && begun.elapsed() > PATIENCE)
        {
            wanted.start = Start::Position(page.next);
            page = self.read(wanted.clone(), Some(page.seen)).await?;
        }
        Ok(Page { after_id, ..page })
    }

    /// Returns a page. If it is empty, waits for the first event until the deadline.
    pub(super) async fn page(
        &self,
        mut wanted: Wanted,
        deadline: Option<Instant>,
        headers: &HeaderMap,
    ) -> Result<Response, Problem> {
        let mut taken = self.room.take().await?;
        let mut page = self.first_events(&mut wanted, None).await?;
        let after_id = page.after_id;
        if let Some(deadline) = deadline.filter(|_| page.last.is_none()) {
            let _place = self.wait()?;
            while page.last.is_none() {
                drop(taken);
                let waiting = self.something_after(&wanted.topic, page.next, deadline);
                let seen = waiting.await;
                taken = self.room.take().await?;
                let Some(seen) = seen else { break };
                wanted.start = Start::Position(page.next);
                page = self.first_events(&mut wanted, Some(seen)).await?;
                if wanted.limit == 0 {
                    break;
                }
            }
        }
        page.after_id = after_id;
        let mut answer = describe(&page, self.access.is_public());
        let tag = answer.get(ETAG).and_then(|tag| tag.to_str().ok());
        if etag::is_known(headers, tag) {
            return Ok((StatusCode::NOT_MODIFIED, answer).into_response());
        }
        answer.insert(CONTENT_TYPE, HeaderValue::from_static(BATCH));
        // With the length, a proxy notices that a page was cut off.
        answer.insert(CONTENT_LENGTH, page.text.len().into());
        Ok((answer, self.room.body(page.text, taken)).into_response())
    }
}

/// Returns the headers of the answer, which it has even if it has no body.
fn describe(page: &Page, is_public: bool) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut position = |name, position: Position| {
        headers.insert(HeaderName::from_static(name), position.get().into());
    };
    position(header::NEXT, page.next);
    position(header::HEAD, page.seen.head.position);
    position(header::HIGH_WATER_MARK, page.seen.high_water_mark);
    if let Some(last) = page.last_position {
        position(header::LAST, last);
    }
    let mut id = |name, id: Option<Uuid>| {
        let id = id.and_then(|id| HeaderValue::try_from(id.to_string()).ok());
        headers.extend(id.map(|id| (HeaderName::from_static(name), id)));
    };
    id(header::HEAD_ID, page.seen.head.message_id);
    id(header::AFTER_ID, page.after_id);
    headers.insert(VARY, HeaderValue::from_static("accept, authorization"));
    let tag = page.last.filter(|_| page.is_full).and_then(|last| {
        // The tag is weak, because the page is the same whether or not it is compressed.
        HeaderValue::try_from(format!("W/\"{}-{last}\"", page.next)).ok()
    });
    let caching = match (&tag, is_public) {
        (None, _) => "no-store",
        (Some(_), true) => "public, no-cache",
        (Some(_), false) => "private, no-cache",
    };
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(caching));
    headers.extend(tag.map(|tag| (ETAG, tag)));
    headers
}
